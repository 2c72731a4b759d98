"""An instrument as Questionnaire; its answers and scores as QuestionnaireResponse and Observations."""
