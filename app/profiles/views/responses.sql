-- What intensity of pain became under each treatment step, by IMMPACT: see the description in responses.json.
WITH
measures AS (
    SELECT
        s.*, earliest(s.effective) AS moment, coalesce(s.body_site, s.body_site_text) AS site,
        s.score || '|' || coalesce(s.unit, '') || '|' || coalesce(s.body_site, s.body_site_text, '')
            || '|' || coalesce(s.laterality, '') AS scale
    FROM pain_scores AS s
    WHERE s.is_intensity AND s.value IS NOT NULL AND s.comparator IS NULL AND s.effective IS NOT NULL
        AND s.status IN (SELECT status FROM responder_rule)
),
steps AS (
    SELECT *, kind || '|' || id AS step, latest(started) AS begun, latest(stopped) AS ended
    FROM treatment_steps
    WHERE status NOT IN ('draft', 'cancelled')
),
timed AS (
    SELECT t.step, m.*, m.moment < t.begun AS is_before
    FROM steps AS t
    JOIN measures AS m ON m.patient_id = t.patient_id
    WHERE m.moment < t.begun OR t.ended IS NULL OR m.moment < t.ended
),
latest_first AS (
    SELECT *, row_number() OVER (PARTITION BY step, scale, is_before ORDER BY moment DESC, id DESC) AS place
    FROM timed
    WHERE is_before IS NOT NULL
),
baselines AS (SELECT * FROM latest_first WHERE is_before AND place = 1),
follow_ups AS (SELECT *, place = 1 AS is_last FROM latest_first WHERE NOT is_before),
pairs AS (
    SELECT
        f.step, f.score, f.recall, f.unit, f.site, f.laterality, f.is_last,
        b.id AS baseline_id, b.value AS baseline, b.effective AS baseline_at,
        f.id AS follow_up_id, f.value AS follow_up, f.effective AS follow_up_at, f.moment
    FROM follow_ups AS f
    LEFT JOIN baselines AS b ON b.step = f.step AND b.scale = f.scale
    UNION ALL
    SELECT
        b.step, b.score, b.recall, b.unit, b.site, b.laterality, 1,
        b.id, b.value, b.effective, NULL, NULL, NULL, NULL
    FROM baselines AS b
    WHERE NOT EXISTS (SELECT 1 FROM follow_ups AS f WHERE f.step = b.step AND f.scale = b.scale)
),
-- Rounded, for binary fractions fall short of the numbers they stand for: 30 percent is 30 percent.
reliefs AS (
    SELECT *, CASE WHEN baseline <> 0 THEN round(100.0 * (baseline - follow_up) / baseline, 6) END AS relief
    FROM pairs
)
SELECT
    t.patient_id, t.id AS step_id, t.plan_id, t.diagnosis_id, t.kind, t.class, t.line, t.started, t.stopped,
    p.score, p.recall, p.unit, p.site AS body_site, p.laterality,
    p.baseline_id, p.baseline, p.baseline_at, p.follow_up_id, p.follow_up, p.follow_up_at,
    coalesce(p.is_last, 1) AS is_last,
    round(p.follow_up - p.baseline, 6) AS change,
    p.relief AS relief_percent,
    p.relief >= (SELECT max(responder_30) FROM responder_rule) AS responder_30,
    p.relief >= (SELECT max(responder_50) FROM responder_rule) AS responder_50,
    p.baseline >= k.low + (k.high - k.low) * (SELECT max(least_baseline) FROM responder_rule) AS eligible,
    p.baseline IS NULL AS baseline_missing,
    CASE
        WHEN t.started IS NULL THEN 'start-unknown'
        WHEN p.step IS NULL THEN 'no-value'
        WHEN p.baseline IS NULL THEN 'baseline-missing'
        WHEN p.follow_up IS NULL THEN 'follow-up-missing'
        WHEN p.relief IS NULL THEN 'baseline-zero'
    END AS reason
FROM steps AS t
LEFT JOIN reliefs AS p ON p.step = t.step
LEFT JOIN (SELECT DISTINCT score, low, high FROM scales) AS k ON k.score = p.score
ORDER BY t.patient_id, t.step, p.score, p.unit, p.site, p.laterality, p.moment, p.follow_up_id
