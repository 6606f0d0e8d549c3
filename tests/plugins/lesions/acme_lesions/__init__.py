"""Sum of the longest diameters of target lesions, from an event type that the plugin brings."""

from enfold.contract import Endpoint, SqlRule, hookimpl

EVENT = "acme_lesions__lesion"
SCORE = "acme_lesions__WELLBEING"

lesion_sum = Endpoint(
    id="lesion_sum",
    version="1",
    citation="An example",
    grain="subject",
    reads={
        "subjects": (),
        EVENT: ("visit_id", "target", "longest_mm", "contested", "until_at", "event_ids"),
        "findings": ("instrument", "value_number", "known"),
    },
    instruments=(SCORE,),
    met_means="value",
    rule=SqlRule(f"""
        SELECT s.subject_id, 'overall' AS criterion, verdict(count(l.longest_mm) > 0 OR NULL) AS status,
               sum(l.longest_mm) AS value_number, max(l.until_at) AS known_from,
               coalesce(flatten(list(l.event_ids)), []) AS event_ids,
               (SELECT string_agg(item, ' ' ORDER BY item) FROM instrument_items) AS compared
        FROM subjects s LEFT JOIN {EVENT} l ON l.subject_id = s.subject_id AND l.target AND NOT l.contested
        GROUP BY s.subject_id
    """),
)


@hookimpl
def enfold_declarations():
    return [lesion_sum]
