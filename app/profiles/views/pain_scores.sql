-- Scores with what their Observation does not say: by which version of the instrument, about which time.
SELECT
    s.id, s.patient_id, s.response_id, s.encounter_id, s.status,
    k.instrument,
    CASE WHEN instr(a.questionnaire, '|') > 0
        THEN substr(a.questionnaire, instr(a.questionnaire, '|') + 1) END AS version,
    coalesce(k.score, s.own_code) AS score,
    k.label AS score_text,
    coalesce(s.value_quantity, s.value_integer, p.points) AS value,
    coalesce(s.unit, CASE WHEN s.value_integer IS NOT NULL OR p.points IS NOT NULL THEN k.unit END) AS unit,
    s.comparator, s.cutoff, s.positive, s.band, s.absent_reason, s.absent_text,
    k.recall, k.is_intensity,
    s.body_site, s.body_site_text, s.laterality, s.effective, s.effective_end, s.last_updated
FROM scores AS s
LEFT JOIN scales AS k ON k.code = CASE
    WHEN s.own_code IS NOT NULL THEN 'own|' || s.own_code
    WHEN s.loinc_code IS NOT NULL THEN 'loinc|' || s.loinc_code
    ELSE 'snomed|' || s.snomed_code END
LEFT JOIN answer_points AS p ON p.code = s.value_code
LEFT JOIN assessments AS a ON a.id = s.response_id
ORDER BY s.patient_id, s.id
