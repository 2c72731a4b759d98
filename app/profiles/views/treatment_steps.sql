-- Requests with what their plan says became of them, and the Procedure that carried them out.
WITH
requests AS (
    SELECT
        r.id, r.patient_id, r.plan_id, r.diagnosis_id, 'medicine' AS kind, NULL AS own_class,
        coalesce(r.medicine, m.medicine) AS what,
        coalesce(r.atc_code, m.atc_code) AS atc_code, coalesce(r.rxnorm_code, m.rxnorm_code) AS rxnorm_code,
        coalesce(r.dose_mg_per_day, 1.0 * r.intake_mg * coalesce(r.intakes, 1) / r.period_days) AS dose_mg_per_day,
        r.dose_text, r.route, r.tier, r.tier_text, r.status, r.intent, r.authored, r.why, r.last_updated
    FROM medicine_requests AS r
    LEFT JOIN medications AS m ON m.id = r.medication_id
    UNION ALL
    SELECT
        id, patient_id, plan_id, diagnosis_id, 'therapy', therapy, what, NULL, NULL, NULL, NULL, NULL,
        tier, tier_text, status, intent, authored, why, last_updated
    FROM service_requests
    WHERE examination_order IS NULL
    UNION ALL
    SELECT
        id, patient_id, plan_id, diagnosis_id, 'device', device, what, NULL, NULL, NULL, NULL, NULL,
        NULL, NULL, status, intent, authored, why, last_updated
    FROM device_requests
),
-- Two requests of different types may have the same id.
told AS (
    SELECT *,
        CASE
            WHEN medicine_request_id IS NOT NULL THEN 'medicine'
            WHEN service_request_id IS NOT NULL THEN 'therapy'
            WHEN device_request_id IS NOT NULL THEN 'device'
        END AS kind,
        coalesce(medicine_request_id, service_request_id, device_request_id) AS request_id
    FROM plan_activities
),
-- A request may stand in several plans, or twice in one: the activity that says most counts.
activities AS (
    SELECT *, row_number() OVER (
        PARTITION BY kind, request_id ORDER BY outcome IS NULL, plan_id, procedure_id, stopped_on, why
    ) AS place
    FROM told
),
carried_out AS (
    SELECT kind, request_id, id, performed, row_number() OVER (
        PARTITION BY kind, request_id ORDER BY performed IS NULL, earliest(performed), id
    ) AS place
    FROM (
        SELECT 'therapy' AS kind, service_request_id AS request_id, id, performed FROM procedures
        UNION
        SELECT a.kind, a.request_id, p.id, p.performed FROM activities AS a JOIN procedures AS p ON p.id = a.procedure_id
    )
)
SELECT
    r.id, r.patient_id,
    coalesce(r.plan_id, a.plan_id) AS plan_id,
    coalesce(r.diagnosis_id, a.diagnosis_id) AS diagnosis_id,
    r.kind,
    CASE r.kind WHEN 'medicine' THEN medicine_class(r.atc_code, r.rxnorm_code, r.what) ELSE r.own_class END AS class,
    r.what, r.atc_code, r.rxnorm_code,
    CASE r.tier WHEN 'established' THEN 'first' WHEN 'second-line' THEN 'second' WHEN 'third-line' THEN 'third' END AS line,
    r.tier, r.tier_text, r.dose_mg_per_day, r.dose_text, r.route, r.status, r.intent,
    coalesce(r.authored, p.performed, a.plan_from) AS started,
    CASE
        WHEN r.authored IS NOT NULL THEN 'request'
        WHEN p.performed IS NOT NULL THEN 'procedure'
        WHEN a.plan_from IS NOT NULL THEN 'plan'
    END AS started_by,
    a.stopped_on AS stopped,
    coalesce(a.why, r.why) AS why_stopped,
    a.outcome, a.response, a.relief_percent, a.measure, a.adverse_effect,
    p.id AS procedure_id, r.last_updated
FROM requests AS r
LEFT JOIN activities AS a ON a.kind = r.kind AND a.request_id = r.id AND a.place = 1
LEFT JOIN carried_out AS p ON p.kind = r.kind AND p.request_id = r.id AND p.place = 1
ORDER BY r.patient_id, r.kind, r.id
