-- Responders by class of treatment and diagnosis: what GET /pain/cohort/outcomes asks the database.
-- The same definition as the table `responses` (app/profiles/views/responses.sql), over the search index.
-- On SQLite a type with + before it says: find this row by its version, not among all rows of the type.
WITH
{tables},
-- The ratings of the asked score that count, by the code that says most.
coded AS MATERIALIZED (
    SELECT t.vid, min(c.rank) AS rank
    FROM score_code AS c
    JOIN search_token AS t ON t.type = 'Observation' AND t.param = 'code' AND t.value = c.code AND t.system = c.system
    WHERE c.score = {score}
    GROUP BY t.vid
),
measures AS MATERIALIZED (
    SELECT
        v.id, p.target_id AS patient, d.low AS moment, coalesce(q.low, n.low) AS value,
        (CASE WHEN q.low IS NULL THEN {unit} ELSE q.code END) || '|'
        || coalesce(
            (SELECT s.value FROM search_token AS s JOIN own_system AS o ON o.name = 'snomed' AND s.system = o.uri
             WHERE s.vid = v.vid AND s.param = 'body-site' ORDER BY s.item LIMIT 1),
            (SELECT s.exact FROM search_string AS s
             WHERE s.vid = v.vid AND s.param = 'body-site:text' ORDER BY s.item DESC LIMIT 1),
            ''
        ) || '|'
        || coalesce(
            (SELECT s.value FROM search_token AS s
             JOIN own_system AS o ON o.name IN ('snomed', 'np-laterality') AND s.system = o.uri
             WHERE s.vid = v.vid AND s.param = 'laterality' ORDER BY s.item LIMIT 1),
            ''
        ) AS scale
    FROM coded AS c
    JOIN version AS v ON v.vid = c.vid AND v.until IS NULL
    JOIN search_token AS st ON {plain}st.type = 'Observation' AND st.vid = v.vid AND st.param = 'status'
    JOIN status_counted AS counted ON counted.status = st.value
    JOIN search_reference AS p
        ON {plain}p.type = 'Observation' AND p.vid = v.vid AND p.param = 'subject' AND p.target_type = 'Patient'
    JOIN search_date AS d ON {plain}d.type = 'Observation' AND d.vid = v.vid AND d.param = 'date' AND d.low > {earliest}
    -- A value such as "above 8" has two ends and is no number to compare.
    LEFT JOIN search_quantity AS q
        ON {plain}q.type = 'Observation' AND q.vid = v.vid AND q.param = 'value-quantity' AND q.low = q.high
    LEFT JOIN search_number AS n ON {plain}n.type = 'Observation' AND n.vid = v.vid AND n.param = 'value-integer'
    WHERE coalesce(q.low, n.low) IS NOT NULL
        AND NOT EXISTS (
            SELECT 1 FROM search_token AS t JOIN score_code AS o ON o.code = t.value AND o.system = t.system
            WHERE {plain}t.type = 'Observation' AND t.vid = c.vid AND t.param = 'code' AND o.rank < c.rank AND o.score <> {score}
        )
),
-- Medicines, therapies and devices that were asked for; an order of an examination is no treatment.
requests AS MATERIALIZED (
    SELECT v.vid, v.type, v.id, p.target_id AS patient
    FROM version AS v
    JOIN search_reference AS p ON p.vid = v.vid AND p.param = 'subject' AND p.target_type = 'Patient'
    WHERE v.type IN ('MedicationRequest', 'ServiceRequest', 'DeviceRequest') AND v.until IS NULL
        AND NOT EXISTS (
            SELECT 1 FROM search_token AS t
            WHERE t.vid = v.vid AND (
                (t.param = 'status' AND t.value IN ('draft', 'cancelled', 'entered-in-error'))
                OR (t.param = 'intent' AND t.value IN ('proposal', 'option'))
                OR (t.param = 'do-not-perform' AND t.value = 'true')
            )
        )
        AND (
            v.type = 'MedicationRequest'
            OR EXISTS (
                SELECT 1 FROM search_token AS t JOIN own_system AS o ON o.uri = t.system
                WHERE t.vid = v.vid AND t.param = 'code'
                    AND o.name = CASE v.type WHEN 'ServiceRequest' THEN 'np-therapy' ELSE 'np-device' END
            )
            OR EXISTS (
                SELECT 1 FROM search_uri AS u JOIN own_system AS o ON o.uri = u.value
                WHERE u.vid = v.vid AND u.param = '_profile'
                    AND o.name = CASE v.type WHEN 'ServiceRequest' THEN 'pain-service-request' ELSE 'pain-device-request' END
            )
        )
        AND NOT EXISTS (
            SELECT 1 FROM search_token AS t JOIN own_system AS o ON o.uri = t.system AND o.name = 'np-order'
            WHERE v.type = 'ServiceRequest' AND t.vid = v.vid AND t.param = 'code'
        )
),
-- What a medicine is named by: the request, or the Medication it refers to.
named AS MATERIALIZED (
    SELECT r.vid, r.vid AS said_by FROM requests AS r WHERE r.type = 'MedicationRequest'
    UNION ALL
    SELECT r.vid, m.vid
    FROM requests AS r
    JOIN search_reference AS f
        ON {plain}f.type = r.type AND f.vid = r.vid AND f.param = 'medication' AND f.target_type = 'Medication'
    JOIN version AS m ON m.type = 'Medication' AND m.id = f.target_id AND m.until IS NULL
    WHERE r.type = 'MedicationRequest'
),
recognised AS MATERIALIZED (
    SELECT n.vid, c.class, row_number() OVER (PARTITION BY n.vid ORDER BY c.rank, t.item, c.class) AS place
    FROM named AS n
    JOIN search_token AS t ON t.vid = n.said_by AND t.param = 'code'
    JOIN medicine_code AS c ON t.system = c.system AND t.value >= c.first AND t.value < c.past
),
-- Words only: a name that stands in them as a whole. Names of different classes leave it open.
worded AS MATERIALIZED (
    SELECT n.vid, CASE WHEN min(m.class) = max(m.class) THEN min(m.class) ELSE 'several' END AS class
    FROM named AS n
    JOIN search_string AS s ON s.vid = n.said_by AND s.param = 'code:text'
    JOIN medicine_name AS m
        ON (' ' || replace(replace(replace(replace(s.value, ',', ' '), '/', ' '), '(', ' '), ')', ' ') || ' ')
        LIKE ('% ' || m.name || ' %') ESCAPE '!'
    WHERE NOT EXISTS (SELECT 1 FROM recognised AS k WHERE k.vid = n.vid)
    GROUP BY n.vid
),
classed AS MATERIALIZED (
    SELECT vid, class FROM recognised WHERE place = 1
    UNION ALL
    SELECT vid, class FROM worded
    UNION ALL
    SELECT r.vid, min(t.value)
    FROM requests AS r
    JOIN search_token AS t ON t.vid = r.vid AND t.param = 'code'
    JOIN own_system AS o ON o.uri = t.system AND o.name IN ('np-therapy', 'np-device')
    WHERE r.type <> 'MedicationRequest'
    GROUP BY r.vid
),
-- The plans a request stands in, as an activity.
plans AS MATERIALIZED (
    SELECT r.vid, v.vid AS plan, coalesce(p.high, c.high) AS begun
    FROM requests AS r
    JOIN search_reference AS a
        ON a.type = 'CarePlan' AND a.param = 'activity-reference' AND a.target_id = r.id AND a.target_type = r.type
    JOIN version AS v ON v.vid = a.vid AND v.until IS NULL
    LEFT JOIN search_date AS p ON {plain}p.type = 'CarePlan' AND p.vid = v.vid AND p.param = 'period-start'
    LEFT JOIN search_date AS c ON {plain}c.type = 'CarePlan' AND c.vid = v.vid AND c.param = 'created'
    WHERE NOT EXISTS (
        SELECT 1 FROM search_token AS t WHERE t.vid = v.vid AND t.param = 'status' AND t.value = 'entered-in-error'
    )
),
planned AS MATERIALIZED (SELECT vid, min(begun) AS begun FROM plans GROUP BY vid),
stops AS MATERIALIZED (
    SELECT l.vid, min(d.high) AS ended
    FROM plans AS l
    JOIN requests AS r ON r.vid = l.vid
    JOIN search_reference AS a
        ON a.vid = l.plan AND a.param = 'activity-reference-stopped-on.0'
        AND a.target_id = r.id AND a.target_type = r.type
    JOIN search_date AS d ON d.vid = l.plan AND d.param = 'activity-reference-stopped-on.1' AND d.item = a.item
    GROUP BY l.vid
),
-- The first Procedure that carried a request out: it is based on the request, or the plan names it as the outcome.
procedures AS (
    SELECT r.vid, b.vid AS done
    FROM requests AS r
    JOIN search_reference AS b
        ON b.type = 'Procedure' AND b.param = 'based-on' AND b.target_id = r.id AND b.target_type = r.type
    WHERE r.type = 'ServiceRequest'
    UNION
    SELECT l.vid, v.vid
    FROM plans AS l
    JOIN requests AS r ON r.vid = l.vid
    JOIN search_reference AS a
        ON a.vid = l.plan AND a.param = 'activity-reference-outcome.0'
        AND a.target_id = r.id AND a.target_type = r.type
    JOIN search_reference AS o
        ON o.vid = l.plan AND o.param = 'activity-reference-outcome.1'
        AND o.item = a.item AND o.target_type = 'Procedure'
    JOIN version AS v ON v.type = 'Procedure' AND v.id = o.target_id AND v.until IS NULL
),
carried_out AS MATERIALIZED (
    SELECT p.vid, b.high AS begun, row_number() OVER (
        PARTITION BY p.vid ORDER BY CASE WHEN b.low IS NULL THEN 1 ELSE 0 END, b.low, v.id
    ) AS place
    FROM procedures AS p
    JOIN version AS v ON v.vid = p.done AND v.until IS NULL
    JOIN search_reference AS plan ON plan.vid = v.vid AND plan.param = 'based-on' AND plan.target_type = 'CarePlan'
    LEFT JOIN search_date AS b ON {plain}b.type = 'Procedure' AND b.vid = v.vid AND b.param = 'performed-start'
    WHERE NOT EXISTS (
        SELECT 1 FROM search_token AS t WHERE t.vid = v.vid AND t.param = 'status' AND t.value = 'entered-in-error'
    )
),
-- The Condition that is treated: the request's reason, else what the plan addresses.
reasons AS (
    SELECT r.vid, c.target_id AS condition, 0 AS rank, c.item
    FROM requests AS r
    JOIN search_reference AS c ON c.vid = r.vid AND c.param = 'reason-reference' AND c.target_type = 'Condition'
    UNION ALL
    SELECT l.vid, c.target_id, 1, c.item
    FROM plans AS l
    JOIN search_reference AS c ON c.vid = l.plan AND c.param = 'condition' AND c.target_type = 'Condition'
),
treated AS MATERIALIZED (
    SELECT vid, condition, row_number() OVER (PARTITION BY vid ORDER BY rank, item, condition) AS place FROM reasons
),
grouped AS MATERIALIZED (
    SELECT x.vid, g.diagnosis, row_number() OVER (PARTITION BY x.vid ORDER BY g.rank, t.item) AS place
    FROM treated AS x
    JOIN version AS v ON v.type = 'Condition' AND v.id = x.condition AND v.until IS NULL
    JOIN search_token AS t ON t.vid = v.vid AND t.param = 'code'
    JOIN diagnosis_code AS g ON t.system = g.system AND t.value >= g.first AND t.value < g.past
    WHERE x.place = 1 AND NOT EXISTS (
        SELECT 1 FROM search_token AS s
        WHERE s.vid = v.vid AND s.param = 'verification-status' AND s.value = 'entered-in-error'
    )
),
steps AS MATERIALIZED (
    SELECT
        r.vid, r.id, r.patient,
        coalesce(k.class, 'not-recognised') AS class,
        coalesce(g.diagnosis, CASE WHEN x.vid IS NULL THEN 'not-stated' ELSE 'other' END) AS diagnosis,
        coalesce(d.high, o.begun, l.begun) AS begun,
        s.ended
    FROM requests AS r
    LEFT JOIN classed AS k ON k.vid = r.vid
    LEFT JOIN treated AS x ON x.vid = r.vid AND x.place = 1
    LEFT JOIN grouped AS g ON g.vid = r.vid AND g.place = 1
    LEFT JOIN search_date AS d ON d.vid = r.vid
        AND d.param = CASE r.type
            WHEN 'MedicationRequest' THEN 'authoredon' WHEN 'ServiceRequest' THEN 'authored' ELSE 'authored-on' END
    LEFT JOIN carried_out AS o ON o.vid = r.vid AND o.place = 1
    LEFT JOIN planned AS l ON l.vid = r.vid
    LEFT JOIN stops AS s ON s.vid = r.vid
),
-- A course: the first treatment of a class that a patient was given for a diagnosis. Each counts once.
ordered AS MATERIALIZED (
    SELECT *, row_number() OVER (PARTITION BY patient, class, diagnosis ORDER BY begun, id, vid) AS place
    FROM steps
    WHERE begun > {begun_from} AND begun <= {begun_until} AND ({diagnosis} = '' OR diagnosis = {diagnosis})
),
courses AS MATERIALIZED (SELECT * FROM ordered WHERE place = 1),
timed AS (
    SELECT
        c.vid, c.class, c.diagnosis, m.id, m.scale, m.value, m.moment,
        CASE WHEN m.moment < c.begun THEN 1 ELSE 0 END AS is_before
    FROM courses AS c
    JOIN measures AS m ON m.patient = c.patient
    WHERE m.moment < c.begun
        OR (
            (c.ended IS NULL OR m.moment < c.ended)
            AND m.moment >= c.begun - {day} + {window_first} * {day} AND m.moment < c.begun + {window_last} * {day}
        )
),
latest AS MATERIALIZED (
    SELECT *, row_number() OVER (PARTITION BY vid, scale, is_before ORDER BY moment DESC, id DESC) AS place FROM timed
),
pairs AS MATERIALIZED (
    SELECT vid, class, diagnosis, scale, max(CASE WHEN is_before = 1 THEN value END) AS baseline,
        max(CASE WHEN is_before = 0 THEN value END) AS follow_up
    FROM latest
    WHERE place = 1
    GROUP BY vid, class, diagnosis, scale
    -- Where there is no rating at all the course stays.
    UNION ALL
    SELECT vid, class, diagnosis, NULL, NULL, NULL FROM courses
),
-- Of a patient rated at several sites, the one that hurt most before treatment, of those with both values.
best AS MATERIALIZED (
    SELECT *, row_number() OVER (
        PARTITION BY vid
        ORDER BY
            CASE WHEN scale IS NULL THEN 3 WHEN baseline IS NULL THEN 2 WHEN follow_up IS NULL THEN 1 ELSE 0 END,
            baseline DESC, scale
    ) AS place
    FROM pairs
),
results AS MATERIALIZED (
    SELECT
        class, diagnosis, baseline, follow_up, scale AS rated,
        -- Rounded, for binary fractions fall short of the numbers they stand for: 30 percent is 30 percent.
        CASE WHEN baseline <> 0 AND follow_up IS NOT NULL
            THEN round(CAST(100.0 * (baseline - follow_up) / baseline AS numeric), 6) END AS relief
    FROM best
    WHERE place = 1
),
-- Each result in its cell, in the totals of its class and of its diagnosis, and in that of all ('' stands for all).
spread AS MATERIALIZED (
    SELECT
        CASE WHEN t.of_class = 1 THEN r.class ELSE '' END AS class,
        CASE WHEN t.of_diagnosis = 1 THEN r.diagnosis ELSE '' END AS diagnosis,
        r.baseline, r.follow_up, r.rated, r.relief
    FROM results AS r
    CROSS JOIN (
        SELECT 1 AS of_class, 1 AS of_diagnosis UNION ALL SELECT 1, 0 UNION ALL SELECT 0, 1 UNION ALL SELECT 0, 0
    ) AS t
),
counted AS MATERIALIZED (
    SELECT
        class, diagnosis, count(*) AS courses,
        sum(CASE WHEN rated IS NULL THEN 1 ELSE 0 END) AS no_value,
        sum(CASE WHEN rated IS NOT NULL AND baseline IS NULL THEN 1 ELSE 0 END) AS baseline_missing,
        sum(CASE WHEN baseline IS NOT NULL AND follow_up IS NULL THEN 1 ELSE 0 END) AS follow_up_missing,
        sum(CASE WHEN baseline = 0 AND follow_up IS NOT NULL THEN 1 ELSE 0 END) AS baseline_zero,
        sum(CASE WHEN relief IS NOT NULL AND baseline < {least} THEN 1 ELSE 0 END) AS baseline_low,
        count(relief) AS n,
        sum(CASE WHEN relief >= {responder_30} THEN 1 ELSE 0 END) AS responder_30,
        sum(CASE WHEN relief >= {responder_50} THEN 1 ELSE 0 END) AS responder_50
    FROM spread
    GROUP BY class, diagnosis
),
ranked AS (
    SELECT
        class, diagnosis, relief,
        row_number() OVER (PARTITION BY class, diagnosis ORDER BY relief) AS place,
        count(*) OVER (PARTITION BY class, diagnosis) AS n
    FROM spread
    WHERE relief IS NOT NULL
),
-- Interval of the median by the ranks n/2 -+ z sqrt(n)/2 (Campbell and Gardner, BMJ 1988;296:1454-1456).
placed AS (
    SELECT
        *,
        CAST(round(CAST(n / 2.0 - {z} * sqrt(n) / 2.0 AS numeric), 0) AS integer) AS below,
        CAST(round(CAST(1 + n / 2.0 + {z} * sqrt(n) / 2.0 AS numeric), 0) AS integer) AS above
    FROM ranked
),
medians AS MATERIALIZED (
    SELECT
        class, diagnosis,
        avg(CASE WHEN place = (n + 1) / 2 OR place = (n + 2) / 2 THEN relief END) AS median,
        max(CASE WHEN place = below AND above <= n THEN relief END) AS median_low,
        max(CASE WHEN place = above AND below >= 1 THEN relief END) AS median_high
    FROM placed
    GROUP BY class, diagnosis
)
-- Intervals of the proportions by Wilson's score (Wilson EB, J Am Stat Assoc 1927;22:209-212).
SELECT
    c.*,
    {wilson},
    CAST(m.median AS double precision) AS median,
    CAST(m.median_low AS double precision) AS median_low,
    CAST(m.median_high AS double precision) AS median_high,
    u.start_unknown
FROM (SELECT count(*) AS start_unknown FROM steps WHERE begun IS NULL) AS u
LEFT JOIN counted AS c ON 1 = 1
LEFT JOIN medians AS m ON m.class = c.class AND m.diagnosis = c.diagnosis
ORDER BY c.class, c.diagnosis
