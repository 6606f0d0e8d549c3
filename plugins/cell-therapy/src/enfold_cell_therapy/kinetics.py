"""What the infused cells do: their expansion, and how long B cells stay away."""

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from enum import Enum

import pyarrow as pa

from enfold.contract import Endpoint, Evidence, Parameters, SqlRule
from enfold_cell_therapy.rules import text


class CarItem(Enum):
    """What was measured; the two are reported apart and never converted."""

    CAR_COPIES = "CAR_COPIES"  # qPCR, copies per microgram of DNA
    CAR_CELLS = "CAR_CELLS"  # flow cytometry, cells per microlitre


class AucMethod(Enum):
    """Trapezoid between samples: linear, or logarithmic where the level falls."""

    LINEAR = "linear"
    LIN_UP_LOG_DOWN = "lin_up_log_down"


@dataclass(frozen=True)
class ExpansionParameters(Parameters):
    """What was measured, the window, how late its last sample must be, and how areas are computed."""

    item: CarItem = CarItem.CAR_COPIES
    until_day: int = 28
    last_sample_from_day: int = 26
    auc_method: AucMethod = AucMethod.LINEAR


@dataclass(frozen=True)
class BCellParameters(Parameters):
    """No consensus: thresholds of 1 to 20 cells/uL are in use. "Not met" needs a count by `expected_by_day`."""

    threshold: Decimal = Decimal("10")
    expected_by_day: int = 28


PLACES = Decimal("1e-9")


@dataclass(frozen=True)
class ExpansionRule(SqlRule):
    """The SQL rule; where the study asks for it, the falls of the curve are added logarithmically."""

    falls: str

    def __call__(self, seen: Evidence, at: ExpansionParameters) -> pa.Table:
        """Return the verdicts; logarithms are decimals of 34 digits, rounded to 9 places once."""
        rows = super().__call__(seen, at)
        if at.auc_method is AucMethod.LINEAR:
            return rows
        areas: dict[tuple[str, int], Decimal] = {}
        context = Context(prec=34, rounding=ROUND_HALF_EVEN)
        for fall in seen.sql(self.falls, {"item": at.item.value, "until_day": at.until_day}).to_pylist():
            key = fall["subject_id"], fall["period"]
            area = log_trapezoid(fall["days"], fall["high"], fall["low"], context)
            areas[key] = context.add(areas.get(key, Decimal(0)), area)
        values = [
            context.quantize(
                context.add(row["value_number"], areas.get((row["subject_id"], row["period"]), Decimal(0))), PLACES
            )
            if row["criterion"] == "auc" and row["value_number"] is not None
            else row["value_number"]
            for row in rows.to_pylist()
        ]
        column = rows.schema.get_field_index("value_number")
        return rows.set_column(column, "value_number", pa.array(values, pa.decimal128(38, 9)))


def log_trapezoid(days: int, high: Decimal, low: Decimal, context: Context) -> Decimal:
    """Return the area under an exponential fall from `high` to `low` > 0 over `days`.

    >>> log_trapezoid(1, Decimal(2), Decimal(1), Context(prec=10))
    Decimal('1.442695041')
    """
    fallen = context.multiply(Decimal(days), context.subtract(high, low))
    return context.divide(fallen, context.subtract(context.ln(high), context.ln(low)))


expansion = Endpoint(
    id="expansion",
    version="2",
    citation="Cmax, Tmax, Clast, Tlast and AUC to day 28, Cmax as in JULIET; linear trapezoid unless the study "
    "asks for logarithmic falls; below quantification: 0 before the last quantified sample, omitted after it",
    grain="period",
    met_means="value",
    reads={
        "periods": ("period", "starts_at", "starts_date"),
        "findings": ("instrument", "item", "date", "value_number", "comparator", "known", "event_ids"),
    },
    rule=ExpansionRule(text("expansion"), text("falls")),
    parameters=ExpansionParameters(),
    criteria={
        "cmax": "highest level from infusion to `until_day`",
        "tmax": "day of the highest level, the earliest of equal ones; infusion = day 0",
        "clast": "last level above quantification up to `until_day`",
        "tlast": "day of the last level above quantification up to `until_day`",
        "auc": "area under the curve to `until_day` by `auc_method`; needs a sample from `last_sample_from_day` on",
        "overall": "the highest level, as `cmax`",
    },
)
b_cell_aplasia = Endpoint(
    id="b_cell_aplasia",
    version="1",
    citation="CD19-positive B cells below 10/uL; recovery at the first of two consecutive counts at or above it; "
    "project definition, no consensus threshold is published",
    grain="period",
    met_means="event",
    reads={
        "periods": ("period", "starts_at", "ends_at", "starts_date", "efficacy_anchor_at"),
        "subjects": ("death_date", "last_contact_date"),
        "occasions": ("occasion_id", "instrument", "baseline_for"),
        "findings": (
            "instrument",
            "item",
            "occasion_id",
            "from_at",
            "until_at",
            "date",
            "value_number",
            "comparator",
            "known",
            "event_ids",
        ),
    },
    rule=SqlRule(text("b_cell_aplasia")),
    parameters=BCellParameters(),
    criteria={
        "aplasia": "a B-cell count below `threshold` after infusion; value: its day. Not evaluable if already below it "
        "before treatment",
        "recovery": "first of two consecutive counts at or above `threshold` after aplasia, one if it is the last; "
        "value: its day",
        "duration_days": "days from infusion to recovery; not evaluable (censored) while not recovered",
        "overall": "as `aplasia`",
    },
)
