"""Response over time: when it began, how long it lasted, whether it was sustained or lost."""

from dataclasses import dataclass
from enum import Enum

from enfold.contract import Endpoint, Parameters, SqlRule
from enfold_disease_course.rules import text


class Target(Enum):
    """Endpoints whose course can be followed."""

    SRI = "sri"
    LLDAS = "lldas"
    CLLDAS = "clldas"
    DORIS = "doris"
    CCR = "ccr"


class LossTarget(Enum):
    """States that can be lost: SRI is a change from baseline and has no published loss."""

    LLDAS = "lldas"
    CLLDAS = "clldas"
    DORIS = "doris"
    CCR = "ccr"


@dataclass(frozen=True)
class CourseParameters(Parameters):
    """`consecutive` visits in a row make a response sustained; `allow_one_gap` lets one open visit stand between.

    `split_dose_days`: a further infusion up to this many days after the first belongs to the same treatment.
    """

    target: Target = Target.SRI
    consecutive: int = 2
    allow_one_gap: bool = False
    split_dose_days: int = 7


@dataclass(frozen=True)
class LossParameters(Parameters):
    """`consecutive` failing visits in a row make a loss."""

    target: LossTarget = LossTarget.LLDAS
    consecutive: int = 2
    split_dose_days: int = 7


READS = {
    "visits": ("visit_id", "scheduled", "target_day", "ordinal", "status", "date", "window_until"),
    "subjects": ("infusion_date", "death_date", "event_ids"),
    "periods": ("period", "starts_date"),
}

response_course = Endpoint(
    id="response_course",
    version="1",
    citation="Time to first response, duration and sustained response of one target; our definition",
    grain="subject",
    reads=READS,
    needs=("sri", "lldas", "clldas", "doris", "ccr"),
    rule=SqlRule(text("response_course")),
    parameters=CourseParameters(),
    criteria={
        "first_response": "days from infusion to the first planned visit that meets `target`; never: to the last "
        "assessment that could be judged (flag `censored`), or to death (flag `died_without_response`)",
        "duration": "days from there to the first planned visit that fails it; none: to the last that met it "
        "(flag `censored`)",
        "sustained": "`consecutive` or more planned visits in a row meet it",
        "last_visit": "the answer at the last planned visit attended",
        "overall": "met at any planned visit",
    },
)

loss_of_response = Endpoint(
    id="loss_of_response",
    met_means="event",
    version="1",
    citation="Loss of LLDAS, DORIS or their childhood forms: failing two planned visits in a row; our definition",
    grain="subject",
    reads=READS,
    needs=("lldas", "clldas", "doris", "ccr"),
    rule=SqlRule(text("loss_of_response")),
    parameters=LossParameters(),
    criteria={
        "overall": "after the first planned visit that meets `target`, `consecutive` or more planned visits in a row "
        "fail it; days from infusion to the first of them",
    },
)
