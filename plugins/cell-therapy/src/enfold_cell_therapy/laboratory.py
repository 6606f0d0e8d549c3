"""Laboratory toxicity: CTCAE grades of results, the worst of them, and low immunoglobulin."""

from dataclasses import dataclass
from decimal import Decimal

from enfold.contract import Derivation, Endpoint, Parameters, SqlRule
from enfold_cell_therapy.rules import text

CTCAE = "Common Terminology Criteria for Adverse Events 5.0, National Cancer Institute, 2017"
PERIOD = ("period", "starts_at", "ends_at", "starts_date", "efficacy_anchor_at")
SUBJECT = ("death_date", "last_contact_date")
RESULTS = (
    "instrument",
    "item",
    "occasion_id",
    "from_at",
    "until_at",
    "date",
    "value_number",
    "comparator",
    "range_low",
    "range_high",
    "known",
    "event_ids",
)
ITEMS = {
    "NEUT": "neutrophils",
    "PLAT": "platelets",
    "HGB": "haemoglobin; grade 4 is a clinical judgement, never given from the number",
    "WBC": "white cells",
    "LYM": "lymphocytes",
    "ALT": "alanine aminotransferase",
    "AST": "aspartate aminotransferase",
    "BILI": "bilirubin",
    "CREAT": "creatinine",
    "FIBRINO": "fibrinogen",
}


@dataclass(frozen=True)
class Worst(Parameters):
    """The window, and how far apart results may lie for a grade to be denied."""

    until_day: int = 28
    max_gap_days: int = 7


@dataclass(frozen=True)
class Immunoglobulin(Parameters):
    """Limits of immunoglobulin G, and how infused immunoglobulin is treated.

    `censor_after_immunoglobulin`: a normal result within `immunoglobulin_days` of a dose proves nothing; else it
    counts and is flagged. "Not met" needs a normal result on `observed_from_day` or later.
    """

    severe_g_per_l: Decimal = Decimal("4")
    immunoglobulin_days: int = 28
    censor_after_immunoglobulin: bool = False
    observed_from_day: int = 28


ctcae_labs = Derivation(
    id="ctcae_labs",
    version="CTCAE/5.0",
    citation=CTCAE,
    grain="visit",
    reads={
        "periods": ("period", "starts_at", "ends_at"),
        "occasions": ("occasion_id", "instrument", "baseline_for"),
        "findings": (*RESULTS, "finding_id", "visit_id"),
    },
    rule=SqlRule(text("ctcae_labs")),
    criteria={item: f"grade of {about}" for item, about in ITEMS.items()},
)
ctcae_labs_worst = Endpoint(
    id="ctcae_labs_worst",
    version="CTCAE/5.0",
    citation=CTCAE,
    grain="period",
    met_means="event",
    reads={
        "periods": PERIOD,
        "subjects": SUBJECT,
        "occasions": ("occasion_id", "instrument", "baseline_for"),
        "findings": ("instrument", "item", "occasion_id", "from_at", "date", "value_number", "comparator"),
    },
    needs=("ctcae_labs",),
    rule=SqlRule(text("ctcae_labs_worst")),
    parameters=Worst(),
    criteria={
        **{item: f"worst grade after infusion, to `until_day`: {about}" for item, about in ITEMS.items()},
        "overall": "the worst of all items; low lymphocytes are expected after lymphodepletion",
    },
)
hypogammaglobulinaemia = Endpoint(
    id="hypogammaglobulinaemia",
    version="1",
    citation="Immunoglobulin G below the laboratory's range or below 4 g/L; CTCAE 5.0 has no numeric grade; "
    "project definition",
    grain="period",
    met_means="event",
    reads={
        "periods": PERIOD,
        "subjects": SUBJECT,
        "occasions": ("occasion_id", "instrument", "baseline_for"),
        "findings": RESULTS,
        "exposures": (
            "kind",
            "drug_class",
            "from_at",
            "first_day_earliest",
            "first_day_latest",
            "last_day_latest",
            "ongoing",
            "event_ids",
        ),
    },
    rule=SqlRule(text("hypogammaglobulinaemia")),
    parameters=Immunoglobulin(),
    criteria={
        "low_igg": "immunoglobulin G below the laboratory's lower limit, or below `severe_g_per_l`; "
        "value: the first day",
        "severe": "immunoglobulin G below `severe_g_per_l`; value: the first day",
        "overall": "as `low_igg`",
    },
)
