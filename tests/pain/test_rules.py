"""Every guideline rule is raised, asks for data, or says nothing, as the reference has it."""

from dataclasses import replace
from typing import Any

import pytest

from tests.pain.rule_facts import CONTENT, answer, facts, results

CLEARANCE = "creatinine_clearance_ml_min"

# rule, what is known, the answer: a severity, what is missing, or None.
TABLE: list[tuple[str, dict[str, Any], str | tuple[str, ...] | None]] = [
    ("NPR01", {"current": ["oxycodone 20"], "proposed": ["pregabalin 150"]}, "warn"),
    ("NPR01", {"current": ["atc|N07BC01"], "proposed": ["atc|N02BF03"]}, "warn"),
    ("NPR01", {"past": ["oxycodone 20"], "proposed": ["pregabalin 150"]}, None),
    ("NPR01", {"proposed": ["pregabalin 150"]}, None),
    ("NPR02", {"current": ["diazepam 5", "Oxycodone Hydrochloride 5 MG Oral Tablet"]}, "block"),
    ("NPR02", {"current": ["rxnorm|596"], "proposed": ["tramadol 200"]}, "block"),
    ("NPR02", {"current": ["atc|N05BA12"], "proposed": ["duloxetine 60"]}, None),
    ("NPR02", {"current": ["atc|N05CD07"], "proposed": ["tramadol 200"]}, "block"),
    ("NPR02", {"current": ["atc|N03AE01", "diamorphine 20"]}, "block"),
    ("NPR03", {"proposed": ["amitriptyline 50"], "conditions": ["icd-10-cm|I44.1"]}, "block"),
    ("NPR03", {"proposed": ["amitriptyline 50"], "conditions": ["snomed|84114007"]}, "block"),
    (
        "NPR03",
        {"proposed": ["amitriptyline 50"], "conditions": ["snomed|9651007|Long QT syndrome (disorder)"]},
        "block",
    ),
    ("NPR03", {"proposed": ["amitriptyline 50"], "conditions": ["icd-10|I48"], "qtc_ms": 400}, "block"),
    ("NPR03", {"proposed": ["amitriptyline 50"], "conditions": ["no heart failure"], "qtc_ms": 400}, None),
    ("NPR03", {"proposed": ["amitriptyline 50"], "qtc_ms": 449}, None),
    ("NPR03", {"proposed": ["amitriptyline 50"], "qtc_ms": 450}, "block"),
    ("NPR03", {"proposed": ["amitriptyline 50"], "qtc_ms": 459, "sex": "female"}, None),
    ("NPR03", {"proposed": ["amitriptyline 50"], "qtc_ms": 460, "sex": "female"}, "block"),
    ("NPR03", {"proposed": ["amitriptyline 50"], "qtc_ms": 455, "sex": None}, ("sex",)),
    ("NPR03", {"proposed": ["amitriptyline 50"]}, ("qtc_ms",)),
    ("NPR03", {"proposed": ["gabapentin 900"]}, None),
    (
        "NPR03",
        {"proposed": ["nortriptyline"], "conditions": ["Myocardial infarction"], "qtc_ms": 400},
        ("Condition/0.onset",),
    ),
    ("NPR03", {"proposed": ["nortriptyline"], "conditions": ["Previous myocardial infarction"], "qtc_ms": 400}, None),
    ("NPR03", {"proposed": ["nortriptyline"], "conditions": ["AV block"], "qtc_ms": 400}, ("Condition/0.type",)),
    ("NPR03", {"proposed": ["nortriptyline"], "conditions": ["First degree AV block"], "qtc_ms": 400}, None),
    ("NPR03", {"proposed": ["nortriptyline"], "conditions": ["Sinus arrhythmia"], "qtc_ms": 400}, None),
    ("NPR03", {"proposed": ["nortriptyline"], "conditions": ["Cardiac dysrhythmia"], "qtc_ms": 400}, "block"),
    (
        "NPR03",
        {"proposed": ["nortriptyline"], "conditions": ["icd-10-cm|I44.30"], "qtc_ms": 400},
        ("Condition/0.type",),
    ),
    ("NPR04", {"proposed": ["amitriptyline 25"], "age": 64}, None),
    ("NPR04", {"proposed": ["amitriptyline 25"], "age": 65}, "warn"),
    ("NPR04", {"proposed": ["amitriptyline 25"], "age": None}, ("age",)),
    ("NPR04", {"proposed": ["duloxetine 60"], "age": None}, None),
    ("NPR05", {"current": ["nortriptyline 25"], "conditions": ["snomed|30041005"]}, "block"),
    ("NPR05", {"current": ["nortriptyline 25"], "conditions": ["icd-10-cm|R33.9"]}, "block"),
    ("NPR05", {"current": ["nortriptyline 25"], "conditions": ["snomed|266569009"]}, "warn"),
    ("NPR05", {"current": ["nortriptyline 25"], "conditions": ["snomed|266569009", "snomed|23986001"]}, "warn"),
    ("NPR05", {"current": ["nortriptyline 25"], "conditions": ["snomed|23986001"]}, ("Condition/0.type",)),
    ("NPR05", {"current": ["nortriptyline 25"], "conditions": ["Glaucoma"]}, ("Condition/0.type",)),
    ("NPR05", {"current": ["nortriptyline 25"], "conditions": ["Open angle glaucoma"]}, None),
    ("NPR05", {"current": ["nortriptyline 25"], "conditions": ["Closed-angle glaucoma"]}, "block"),
    ("NPR05", {"current": ["nortriptyline 25"], "conditions": ["BPH without urinary retention"]}, "warn"),
    ("NPR05", {"proposed": ["duloxetine 60"], "conditions": ["snomed|30041005"]}, None),
    ("NPR06", {"proposed": ["pregabalin 300"], CLEARANCE: 24}, "block"),
    ("NPR06", {"proposed": ["pregabalin 150"], CLEARANCE: 24}, None),
    ("NPR06", {"proposed": ["pregabalin 300"]}, (CLEARANCE,)),
    ("NPR06", {"proposed": ["pregabalin 300"], "egfr": 90}, (CLEARANCE,)),
    ("NPR06", {"proposed": ["pregabalin 75"]}, None),
    ("NPR06", {"proposed": ["pregabalin 601"]}, "block"),
    ("NPR06", {"proposed": ["pregabalin"], CLEARANCE: 24}, ("activities[0].daily_dose_mg",)),
    ("NPR06", {"proposed": ["pregabalin"]}, ("activities[0].daily_dose_mg", CLEARANCE)),
    ("NPR06", {"current": ["gabapentin 3600"], CLEARANCE: 60}, None),
    ("NPR06", {"current": ["gabapentin 3600"], CLEARANCE: 59}, "block"),
    ("NPR06", {"current": ["gabapentin 1400"], CLEARANCE: 30}, None),
    ("NPR06", {"current": ["gabapentin 1400"], CLEARANCE: 29}, "block"),
    ("NPR06", {"current": ["gabapentin 700"], CLEARANCE: 15}, None),
    ("NPR06", {"current": ["gabapentin 300"], CLEARANCE: 14}, "block"),
    ("NPR06", {"current": ["gabapentin 200"], CLEARANCE: 10}, None),
    ("NPR06", {"current": ["gabapentin 201"], CLEARANCE: 10}, "block"),
    ("NPR06", {"current": ["pregabalin 600"], "proposed": ["pregabalin 150"], CLEARANCE: 20}, None),
    ("NPR06", {"proposed": ["pregabalin 100", "pregabalin 75"], CLEARANCE: 20}, "block"),
    ("NPR06", {"proposed": ["duloxetine 60"]}, None),
    ("NPR07", {"proposed": ["duloxetine 60"]}, (CLEARANCE,)),
    ("NPR07", {"proposed": ["duloxetine 60"], CLEARANCE: 30}, None),
    ("NPR07", {"proposed": ["duloxetine 60"], CLEARANCE: 29}, "block"),
    ("NPR07", {"proposed": ["duloxetine 60"], "conditions": ["icd-10-cm|K74.60"]}, "block"),
    ("NPR07", {"proposed": ["duloxetine 60"], "conditions": ["icd-10-cm|F10.20"]}, "block"),
    ("NPR07", {"proposed": ["duloxetine 60"], "conditions": ["icd-10-cm|F10.21"], CLEARANCE: 90}, None),
    ("NPR07", {"proposed": ["duloxetine 60"], "heavy_alcohol_use": True}, "block"),
    ("NPR07", {"proposed": ["duloxetine 60"], "conditions": ["Hepatic impairment"]}, "block"),
    ("NPR07", {"proposed": ["duloxetine 60"], "conditions": ["snomed|7916009"], CLEARANCE: 90}, ("heavy_alcohol_use",)),
    ("NPR07", {"proposed": ["venlafaxine 150"]}, None),
    ("NPR08", {"current": ["sertraline 50"], "proposed": ["amitriptyline 25"]}, "warn"),
    ("NPR08", {"current": ["Linezolid 600 MG Oral Tablet"], "proposed": ["tramadol 200"]}, "warn"),
    ("NPR08", {"current": ["rizatriptan"], "proposed": ["duloxetine 60"]}, "warn"),
    ("NPR08", {"current": ["duloxetine 30"], "proposed": ["duloxetine 60"]}, None),
    ("NPR08", {"current": ["ondansetron"], "proposed": ["duloxetine 60"]}, None),
    ("NPR09", {"current": ["rxnorm|9639"], "proposed": ["duloxetine 60"]}, "block"),
    ("NPR09", {"current": ["atc|N04BD01"], "proposed": ["tramadol 200"]}, "block"),
    ("NPR09", {"past": ["phenelzine -14"], "proposed": ["duloxetine 60"]}, "block"),
    ("NPR09", {"past": ["phenelzine -15"], "proposed": ["duloxetine 60"]}, None),
    ("NPR09", {"past": ["phenelzine"], "proposed": ["duloxetine 60"]}, ("MedicationStatement/0.until",)),
    ("NPR09", {"current": ["phenelzine"], "proposed": ["pregabalin 150"]}, None),
    ("NPR10", {"proposed": ["tapentadol 100"], "conditions": ["snomed|84757009"]}, "block"),
    ("NPR10", {"proposed": ["tramadol 200"], "conditions": ["icd-10-cm|G40.909"]}, "block"),
    ("NPR10", {"proposed": ["tramadol 200"], "conditions": ["family history of epilepsy"]}, None),
    ("NPR10", {"proposed": ["tramadol 200"], "conditions": ["Seizures"]}, ("Condition/0.type",)),
    ("NPR10", {"proposed": ["tramadol 200"], "conditions": ["Febrile seizure"]}, None),
    ("NPR10", {"proposed": ["morphine 20"], "conditions": ["snomed|84757009"]}, None),
    ("NPR11", {"proposed": ["capsaicin 8 % patch #right cheek"]}, "block"),
    ("NPR11", {"proposed": ["capsaicin patch #snomed|89545001"]}, "block"),
    ("NPR11", {"proposed": ["capsaicin 8 % patch #ulcer of the left foot"]}, "block"),
    ("NPR11", {"proposed": ["capsaicin 8 % patch #left foot"], "intact_skin": False}, "block"),
    ("NPR11", {"proposed": ["capsaicin 8 % patch #left foot"], "intact_skin": True}, None),
    ("NPR11", {"proposed": ["capsaicin 8 % patch #left foot"]}, ("intact_skin",)),
    ("NPR11", {"proposed": ["capsaicin 8 % patch"], "intact_skin": True}, ("activities[0].site",)),
    ("NPR11", {"proposed": ["capsaicin #face"]}, ("activities[0].form",)),
    ("NPR11", {"proposed": ["capsaicin @topical #face"]}, ("activities[0].form",)),
    ("NPR11", {"proposed": ["capsaicin cream #face"]}, None),
    ("NPR11", {"proposed": ["capsaicin 0.1 % ointment #face"]}, None),
    ("NPR12", {"proposed": ["lidocaine 5 % patch #intact skin left T6"]}, None),
    ("NPR12", {"proposed": ["lidocaine 5 % patch #wound of the left foot"]}, "warn"),
    ("NPR12", {"proposed": ["lidocaine @topical #left foot"], "intact_skin": False}, "warn"),
    ("NPR12", {"proposed": ["lidocaine 5 % patch #left foot"]}, ("intact_skin",)),
    ("NPR12", {"proposed": ["lidocaine patch #intact skin"], "current": ["mexiletine"]}, "warn"),
    ("NPR12", {"proposed": ["lidocaine patch #intact skin"], "current": ["atc|C01BC04"]}, "warn"),
    ("NPR12", {"proposed": ["lidocaine patch #intact skin"], "current": ["atc|C01BD01"]}, None),
    ("NPR12", {"proposed": ["lidocaine @intravenous"]}, None),
    ("NPR12", {"proposed": ["lidocaine 4 % cream @topical #left foot"]}, None),
    ("NPR13", {"proposed": ["morphine 20"]}, "warn"),
    ("NPR13", {"proposed": ["morphine 20"], "prior_first_line_trials": 0}, "warn"),
    ("NPR13", {"proposed": ["morphine 20"], "prior_first_line_trials": 1}, None),
    ("NPR13", {"proposed": ["morphine 20"], "past": ["duloxetine 60 -100"]}, None),
    ("NPR13", {"proposed": ["morphine 20", "duloxetine 60"]}, "warn"),
    ("NPR13", {"current": ["morphine 20"]}, None),
    ("NPR14", {"current": ["oxycodone 33.2"]}, None),
    ("NPR14", {"current": ["oxycodone 33.4"]}, "warn"),
    ("NPR14", {"current": ["morphine 49.9"]}, None),
    ("NPR14", {"current": ["morphine 50"]}, "warn"),
    ("NPR14", {"current": ["morphine 90"]}, None),
    ("NPR14", {"current": ["morphine 30"], "proposed": ["tramadol 100"]}, "warn"),
    ("NPR14", {"current": ["fentanyl 0.5 @transdermal"]}, "warn"),
    ("NPR14", {"current": ["morphine"]}, ("MedicationRequest/0.daily_dose_mg",)),
    ("NPR14", {"current": ["fentanyl 0.6"]}, ("MedicationRequest/0.route",)),
    ("NPR14", {"current": ["morphine 10 @intrathecal"]}, ("MedicationRequest/0.morphine_equivalent",)),
    ("NPR14", {"current": ["atc|N02AA08"]}, ("MedicationRequest/0.morphine_equivalent",)),
    ("NPR14", {"current": ["buprenorphine 8"]}, None),
    ("NPR15", {"current": ["morphine 89.9"]}, None),
    ("NPR15", {"current": ["morphine 90"]}, "block"),
    ("NPR15", {"current": ["hydromorphone 18"]}, "block"),
    ("NPR15", {"current": ["methadone 20"]}, "block"),
    ("NPR15", {"current": ["morphine 90", "oxycodone"]}, "block"),
    ("NPR15", {"current": ["morphine 60", "oxycodone"]}, ("MedicationRequest/1.daily_dose_mg",)),
    ("NPR16", {"proposed": ["carbamazepine 400"], "ancestry": "Thai", "hla_b_1502": "unknown"}, "block"),
    ("NPR16", {"proposed": ["oxcarbazepine 600"], "ancestry": "Han Chinese"}, "block"),
    ("NPR16", {"proposed": ["carbamazepine 400"], "hla_b_1502": "positive"}, "block"),
    ("NPR16", {"proposed": ["carbamazepine 400"], "ancestry": "Thai", "hla_b_1502": "negative"}, None),
    ("NPR16", {"proposed": ["carbamazepine 400"], "ancestry": "European"}, None),
    ("NPR16", {"proposed": ["carbamazepine 400"], "ancestry": "American Indian"}, None),
    ("NPR16", {"proposed": ["carbamazepine 400"], "ancestry": "non-Asian"}, ("ancestry", "hla_b_1502")),
    ("NPR16", {"proposed": ["carbamazepine 400"]}, ("ancestry", "hla_b_1502")),
    ("NPR16", {"proposed": ["lamotrigine 100"], "ancestry": "Thai"}, None),
    ("NPR17", {"proposed": ["carbamazepine 400"], "conditions": ["icd-10-cm|E87.1"]}, "warn"),
    ("NPR17", {"proposed": ["carbamazepine 400"], "conditions": ["snomed|27885002"]}, "warn"),
    # Any AV block, as the reference has it; NPR03 is about the second and third degree.
    ("NPR17", {"proposed": ["carbamazepine 400"], "conditions": ["icd-10-cm|I44.0"]}, "warn"),
    ("NPR17", {"proposed": ["carbamazepine 400"], "conditions": ["icd-10-cm|I44.30"]}, "warn"),
    ("NPR17", {"proposed": ["carbamazepine 400"], "current": ["rxnorm|11289"]}, "warn"),
    ("NPR17", {"proposed": ["carbamazepine 400"], "current": ["atc|G03AA07"]}, "warn"),
    ("NPR17", {"proposed": ["carbamazepine 400"], "current": ["atc|B01AC06"]}, None),
    ("NPR17", {"proposed": ["gabapentin 900"], "current": ["rxnorm|11289"]}, None),
    ("NPR18", {"proposed": ["pregabalin 150"], "conditions": ["snomed|84114007"]}, "warn"),
    ("NPR18", {"current": ["gabapentin 900"], "conditions": ["icd-10-cm|I11.0"]}, "warn"),
    ("NPR18", {"proposed": ["pregabalin 150"]}, None),
    ("NPR19", {"proposed": ["venlafaxine 150"], "uncontrolled_hypertension": True}, "warn"),
    ("NPR19", {"proposed": ["venlafaxine 150"], "conditions": ["icd-10-cm|I16.0"]}, "warn"),
    ("NPR19", {"proposed": ["venlafaxine 150"], "conditions": ["Poorly controlled hypertension"]}, "warn"),
    ("NPR19", {"proposed": ["venlafaxine 150"], "conditions": ["icd-10-cm|I10"]}, ("uncontrolled_hypertension",)),
    (
        "NPR19",
        {"proposed": ["venlafaxine 150"], "conditions": ["icd-10-cm|I10"], "uncontrolled_hypertension": False},
        None,
    ),
    ("NPR19", {"proposed": ["venlafaxine 150"]}, None),
    ("NPR20", {"proposed": ["gabapentin 900"], "phq9_item9": 1}, "block"),
    ("NPR20", {"proposed": ["duloxetine 60"], "conditions": ["snomed|6471006"]}, "block"),
    ("NPR20", {"proposed": ["duloxetine 60"], "phq9_item9": 0}, None),
    ("NPR20", {"current": ["duloxetine 60"], "phq9_item9": 2}, None),
    ("NPR20", {"proposed": ["duloxetine 60"]}, None),
    ("NPR21", {"proposed": ["duloxetine 60"], "current": ["tamoxifen 20"]}, "warn"),
    ("NPR21", {"proposed": ["tramadol 200"], "current": ["rxnorm|32937"]}, "warn"),
    ("NPR21", {"proposed": ["amitriptyline 25"], "current": ["fluoxetine 20"]}, "warn"),
    ("NPR21", {"proposed": ["venlafaxine 75"], "current": ["tamoxifen 20"]}, None),
    ("NPR22", {"procedures": ["snomed|171787008"], "current": ["apixaban 10"]}, "block"),
    ("NPR22", {"procedures": ["np-therapy|spinal-cord-stimulation"], "current": ["clopidogrel 75"]}, "block"),
    ("NPR22", {"procedures": ["epidural-injection"], "current": ["atc|B01AC06"]}, "block"),
    ("NPR22", {"proposed": ["ziconotide @intrathecal"], "current": ["rxnorm|11289"]}, "block"),
    ("NPR22", {"procedures": ["peripheral-nerve-block"], "current": ["apixaban 10"]}, None),
    ("NPR22", {"procedures": ["np-therapy|sympathetic-block"], "current": ["apixaban 10"]}, ("procedures[0].type",)),
    ("NPR22", {"procedures": ["np-therapy|nerve-block"], "current": ["apixaban 10"]}, ("procedures[0].type",)),
    ("NPR22", {"procedures": ["np-therapy|motor-cortex-stimulation"], "current": ["apixaban 10"]}, "block"),
    ("NPR22", {"procedures": ["epidural-injection"]}, None),
    ("NPR23", {"procedures": ["snomed|241645008"], "devices": ["snomed|25937001"]}, "block"),
    ("NPR23", {"procedures": ["MRI of the lumbar spine"], "conditions": ["icd-10-cm|Z96.82"]}, "block"),
    ("NPR23", {"procedures": ["mri-brain"], "devices": ["np-device|drug-delivery-system"]}, "block"),
    ("NPR23", {"procedures": ["mri-brain"], "conditions": ["Intrathecal pump in situ"]}, "block"),
    ("NPR23", {"procedures": ["mri"], "devices": ["snomed|25937001"], "mri_conditional": True}, None),
    ("NPR23", {"procedures": ["mri"], "devices": ["TENS unit, external nerve stimulator"]}, None),
    ("NPR23", {"procedures": ["ct-head"], "devices": ["snomed|25937001"]}, None),
    ("NPR24", {"proposed": ["sodium valproate 600"], "sex": "female", "pregnant": True}, "block"),
    ("NPR24", {"proposed": ["topiramate 100"], "sex": "female", "conditions": ["snomed|77386006"]}, "block"),
    ("NPR24", {"current": ["carbamazepine 400"], "sex": "female", "conditions": ["icd-10-cm|Z3A.20"]}, "block"),
    ("NPR24", {"proposed": ["pregabalin 150"], "sex": "female", "pregnant": True}, "warn"),
    ("NPR24", {"proposed": ["codeine 120"], "sex": "female", "pregnant": True}, "warn"),
    ("NPR24", {"proposed": ["pregabalin 150"], "sex": "female", "pregnant": False}, None),
    ("NPR24", {"proposed": ["pregabalin 150"], "sex": "female"}, ("pregnant",)),
    ("NPR24", {"proposed": ["pregabalin 150"], "sex": "female", "age": 12}, ("pregnant",)),
    ("NPR24", {"proposed": ["pregabalin 150"], "sex": "female", "age": 11}, None),
    ("NPR24", {"proposed": ["pregabalin 150"], "sex": "female", "age": 55}, ("pregnant",)),
    ("NPR24", {"proposed": ["pregabalin 150"], "sex": "female", "age": 56}, None),
    ("NPR24", {"proposed": ["pregabalin 150"], "sex": None}, ("pregnant", "sex")),
    ("NPR24", {"proposed": ["pregabalin 150"], "sex": "male"}, None),
    ("NPR24", {"proposed": ["gabapentin 900"], "sex": "female", "pregnant": True}, None),
    ("NPR25", {"current": ["gabapentin 900"], "proposed": ["pregabalin 150"]}, "block"),
    ("NPR25", {"past": ["gabapentin 900"], "proposed": ["pregabalin 150"]}, None),
    ("NPR26", {"diagnosis": "icd-10-cm|G50.0", "proposed": ["gabapentin 900"]}, "info"),
    ("NPR26", {"diagnosis": "snomed|31681005", "proposed": ["baclofen 30"]}, "info"),
    ("NPR26", {"diagnosis": "icd-10-cm|G50.0", "proposed": ["carbamazepine 400"]}, None),
    ("NPR26", {"diagnosis": "icd-10-cm|G50.0", "proposed": ["gabapentin 900"], "past": ["oxcarbazepine"]}, None),
    (
        "NPR26",
        {"diagnosis": "icd-10-cm|G50.0", "proposed": ["gabapentin 900"], "documented_reason": "hyponatraemia"},
        None,
    ),
    ("NPR26", {"diagnosis": "icd-10-cm|G62.9", "proposed": ["gabapentin 900"]}, None),
    ("NPR27", {"red_flags": True}, "block"),
    ("NPR27", {"red_flags": ("saddle anaesthesia",)}, "block"),
    ("NPR27", {"red_flags": False}, None),
    ("NPR27", {"conditions": ["icd-10-cm|G83.4"]}, "block"),
    ("NPR27", {"conditions": ["Saddle anesthesia"]}, "block"),
    ("NPR27", {"conditions": ["snomed|254837009"]}, None),
    ("NPR27", {}, None),
    ("NPR28", {"grade": "unlikely", "diagnosis": "icd-10-cm|M54.50", "proposed": ["gabapentin 900"]}, "warn"),
    ("NPR28", {"grade": "unlikely", "diagnosis": "icd-11|MG30.51", "procedures": ["cbt"]}, "warn"),
    ("NPR28", {"grade": "unlikely", "diagnosis": "snomed|203082005", "proposed": ["pregabalin 150"]}, None),
    ("NPR28", {"grade": "unlikely", "diagnosis": "icd-10-cm|G90.511", "proposed": ["pregabalin 150"]}, None),
    ("NPR28", {"grade": "unlikely", "diagnosis": "icd-10-cm|M54.50", "proposed": ["duloxetine 60"]}, None),
    ("NPR28", {"grade": "unlikely", "diagnosis": "icd-10-cm|M54.50", "current": ["gabapentin 900"]}, None),
    ("NPR28", {"grade": "possible", "diagnosis": "icd-10-cm|M54.50", "proposed": ["gabapentin 900"]}, None),
    ("NPR28", {"diagnosis": "icd-10-cm|M54.50", "proposed": ["gabapentin 900"]}, None),
    ("NPR29", {"proposed": ["amitriptyline 25", "pregabalin 75"], "age": 65}, "warn"),
    ("NPR29", {"proposed": ["amitriptyline 25", "pregabalin 75"], "age": 64}, None),
    ("NPR29", {"proposed": ["amitriptyline 25", "pregabalin 75"], "age": None}, ("age",)),
    ("NPR29", {"proposed": ["amitriptyline 25", "pregabalin 75"], "conditions": ["snomed|129839007"]}, "warn"),
    ("NPR29", {"proposed": ["amitriptyline 25", "pregabalin 75"], "falls_risk": True}, "warn"),
    ("NPR29", {"proposed": ["amitriptyline 25", "pregabalin 75"], "conditions": ["History of falls"]}, "warn"),
    ("NPR29", {"proposed": ["amitriptyline 25"], "age": 80}, None),
    ("NPR30", {"proposed": ["gabapentin 900"], "conditions": ["snomed|1336192000"]}, "warn"),
    ("NPR30", {"proposed": ["gabapentin 900"], "conditions": ["icd-10-cm|F14.20"]}, "warn"),
    ("NPR30", {"proposed": ["gabapentin 900"], "conditions": ["Alcohol abuse"]}, "warn"),
    ("NPR30", {"proposed": ["gabapentin 900"], "conditions": ["icd-10-cm|F17.210"]}, None),
    ("NPR30", {"proposed": ["gabapentin 900"], "over": ["icd-10-cm|F14.20"]}, None),
    ("NPR31", {"current": ["morphine 50"]}, "info"),
    ("NPR31", {"current": ["morphine 49"]}, None),
    ("NPR31", {"current": ["morphine 50", "naloxone"]}, None),
    ("NPR31", {"current": ["tramadol 50", "diazepam 5"]}, "info"),
    ("NPR31", {"conditions": ["icd-10-cm|T40.2X1A"]}, "info"),
    ("NPR31", {"over": ["icd-10-cm|T40.2X1A"]}, "info"),
    ("NPR31", {"over": ["snomed|1336192000"], "current": ["naloxone"]}, None),
    ("NPR31", {"conditions": ["icd-10-cm|T40.2X5A"]}, None),
    ("NPR31", {"conditions": ["snomed|75544000"], "current": ["buprenorphine / naloxone"]}, "info"),
    ("NPR31", {"current": ["morphine"]}, ("MedicationRequest/0.daily_dose_mg",)),
    ("NPR32", {"proposed": ["duloxetine 60"], "goal": False, "review": False}, "info"),
    ("NPR32", {"proposed": ["duloxetine 60"], "goal": False, "review": True}, None),
    ("NPR32", {"proposed": ["duloxetine 60"], "goal": True, "review": False}, None),
    ("NPR32", {"proposed": ["duloxetine 60"], "procedures": ["cbt"], "goal": False, "review": False}, None),
    ("NPR32", {"procedures": ["cbt"], "goal": False, "review": False}, None),
    ("NPR33", {"diagnosis": "icd-10-cm|E11.42", "proposed": ["tapentadol 100"]}, "warn"),
    ("NPR33", {"conditions": ["snomed|424736006"], "current": ["tramadol 200"]}, "warn"),
    ("NPR33", {"conditions": ["icd-10-cm|E11.43"], "current": ["tramadol 200"]}, None),
    ("NPR33", {"conditions": ["icd-10-cm|E11.9"], "current": ["tramadol 200"]}, None),
]


@pytest.mark.parametrize(("rule", "known", "expected"), TABLE, ids=[f"{row[0]} {row[1]}"[:110] for row in TABLE])
def test_a_rule_answers_as_the_reference_has_it(
    rule: str, known: dict[str, Any], expected: str | tuple[str, ...] | None
) -> None:
    found = results(facts(**known))

    assert answer(rule, found) == expected


def test_every_rule_is_run_and_tested_both_ways() -> None:
    rules = tuple(f"NPR{number:02}" for number in range(1, 34))

    raised = {rule for rule, _, expected in TABLE if isinstance(expected, str)}
    silent = {rule for rule, _, expected in TABLE if expected is None}
    asking = {rule for rule, _, expected in TABLE if isinstance(expected, tuple)}

    assert results(facts()).checked == rules
    assert raised == silent == set(rules)
    # NPR05 and those that ask only for the type of a condition have no fact to name; they are asked all the same.
    assert {rule.id for rule in CONTENT.guidelines.rules if rule.needs} <= asking


def test_nothing_known_raises_nothing() -> None:
    found = results(facts())

    assert (found.findings, found.data_needed, found.notes) == ((), (), ())


@pytest.mark.parametrize(
    ("clearance", "limit"), [(80, 3600), (79, 1800), (50, 1800), (49, 900), (30, 900), (29, 600), (15, 600), (14, 300)]
)
def test_the_renal_table_is_that_of_the_jurisdiction(clearance: int, limit: int) -> None:
    at_limit = facts(proposed=[f"gabapentin {limit}"], creatinine_clearance_ml_min=clearance)
    above = facts(proposed=[f"gabapentin {limit + 1}"], creatinine_clearance_ml_min=clearance)

    assert answer("NPR06", results(at_limit, jurisdiction="uk")) is None
    assert answer("NPR06", results(above, jurisdiction="uk")) == "block"


def test_what_is_first_line_depends_on_the_edition() -> None:
    tried = facts(proposed=["morphine 20"], past=["nortriptyline -90"])

    by_edition = {one: answer("NPR13", results(tried, edition=one)) for one in CONTENT.guidelines.editions}

    # NICE CG173 names amitriptyline of the tricyclics.
    assert by_edition == {
        "neupsig-2025": None,
        "neupsig-2015": None,
        "nice-cg173": "warn",
        "efns-2010": None,
        "aan-2022": None,
    }


def test_an_order_and_a_statement_of_one_medicine_count_once() -> None:
    known = facts(current=["morphine 40", "morphine 40"])
    order, statement = known.medicines

    both = results(replace(known, medicines=(order, replace(statement, source="MedicationStatement/9"))))

    assert answer("NPR14", results(known)) == "warn"
    assert answer("NPR14", both) is None


def test_a_finding_says_where_it_comes_from() -> None:
    found = results(
        facts(current=["oxycodone 20"], proposed=["pregabalin 300"], creatinine_clearance_ml_min=24, age=70)
    )

    by_rule = {one.rule: one for one in found.findings}
    assert by_rule["NPR01"].evidence == ("MedicationRequest/0", "activities[0]")
    assert "age 65" in by_rule["NPR01"].message
    assert by_rule["NPR06"].evidence == ("activities[0]", "context.creatinine_clearance_ml_min")
    assert by_rule["NPR06"].year == 2020
    assert "pregabalin: 300 mg a day, at most 150 mg at 24 mL/min (US labels)." in by_rule["NPR06"].message
    assert "not re-read" in by_rule["NPR01"].citation


@pytest.mark.parametrize(
    ("current", "told"),
    [
        (["oxycodone 40"], "NPR14: 60 morphine milligram equivalents (CDC 2022)."),
        (["oxycodone 40", "morphine"], "NPR14: At least 60 morphine milligram equivalents (CDC 2022)."),
        (["hydromorphone 20.05"], "NPR15: 100.2 morphine milligram equivalents (CDC 2022)."),
    ],
)
def test_a_finding_gives_the_sum_it_rests_on(current: list[str], told: str) -> None:
    rule, sentence = told.split(": ", 1)

    found = {one.rule: one.message for one in results(facts(current=current)).findings}

    assert sentence in found[rule]


def test_a_milder_finding_says_that_it_may_be_graver() -> None:
    found = results(facts(current=["nortriptyline 25"], conditions=["snomed|266569009", "snomed|23986001"]))

    message = next(one.message for one in found.findings if one.rule == "NPR05")
    assert "Condition/1.type" in message


def test_a_medicine_that_is_not_recognised_is_named() -> None:
    found = results(facts(proposed=["duloxetine 60", "wonder drug 5"], current=["rxnorm|999"]))

    assert found.notes == (
        "MedicationRequest/0, activities[1]: medicine not recognised; rules about medicines could not consider it",
    )


def test_egfr_never_stands_in_for_creatinine_clearance_and_that_is_said() -> None:
    found = results(facts(proposed=["duloxetine 60"], egfr=90))

    assert answer("NPR07", found) == (CLEARANCE,)
    assert [note for note in found.notes if "eGFR" in note]


@pytest.mark.parametrize(
    ("words", "classes"),
    [
        ("oxycodone hydrochloride 5 MG / acetaminophen 325 MG Oral Tablet", {"opioid"}),
        ("gabapentin 300 MG Oral Capsule", {"gabapentinoid"}),
        ("lidocaine 5% patch", {"lidocaine-patch"}),
        ("Lidocaine 5 % medicated plaster", {"lidocaine-patch"}),
        ("capsaicin 8 % cutaneous patch", {"capsaicin-8-patch"}),
        ("diazepam 5mg tablet", {"benzodiazepine"}),
        ("gabapentinamide", set()),
    ],
)
def test_a_product_is_recognised_by_the_names_in_it(words: str, classes: set[str]) -> None:
    belongs = CONTENT.guidelines.pharmacy.recognised(CONTENT.drugs.said(words))

    asked = {"opioid", "gabapentinoid", "lidocaine-patch", "capsaicin-8-patch", "benzodiazepine"}
    assert {name for name in asked if belongs(CONTENT.guidelines.classes[name])} == classes


@pytest.mark.parametrize(
    ("drug", "therapy", "edition", "line"),
    [
        ("duloxetine", None, "neupsig-2025", "first"),
        ("capsaicin cream", None, "neupsig-2025", "second"),
        (None, "rtms", "neupsig-2025", "third"),
        ("tramadol", None, "neupsig-2015", "second"),
        ("morphine", None, "neupsig-2015", "third"),
        ("venlafaxine", None, "nice-cg173", "specialist"),
        ("morphine", None, "aan-2022", None),
        (None, "cbt", "neupsig-2025", None),
    ],
)
def test_the_line_of_a_treatment_is_that_of_the_edition(
    drug: str | None, therapy: str | None, edition: str, line: str | None
) -> None:
    named = CONTENT.drugs.said(drug) if drug else None

    assert CONTENT.guidelines.line_of(named, therapy, edition) == line
