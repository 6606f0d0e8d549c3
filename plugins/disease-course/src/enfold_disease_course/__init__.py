"""Disease course: flare, relapse, loss of response, response over time, renal response, survival and follow-up."""

from enfold.contract import Declaration, hookimpl
from enfold_disease_course.flare import flare
from enfold_disease_course.relapse import follow_up, relapse, relapse_free_survival
from enfold_disease_course.renal import renal_response
from enfold_disease_course.response import loss_of_response, response_course


@hookimpl
def enfold_declarations() -> list[Declaration]:
    """Register the endpoints of the disease course."""
    return [flare, relapse, relapse_free_survival, loss_of_response, response_course, renal_response, follow_up]
