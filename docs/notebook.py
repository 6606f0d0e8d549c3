"""A statistician's notebook on the synthetic demo trial: `marimo edit docs/notebook.py`, after `make demo`."""

import marimo

app = marimo.App(width="medium", app_title="The demo trial, number by number")


@app.cell
def _():
    import marimo as mo

    import enfold

    mo.md("""
    # The demo trial, number by number

    **Synthetic data.** After `make demo` the study lies in `.demo/study`. Everything below is asked of its serving
    file: read-only, and every number can be walked back to the file and row that it came from.
    """)
    return enfold, mo


@app.cell
def _(mo):
    folder = mo.cli_args().get("study") or ".demo/study"
    return (folder,)


@app.cell
def _(enfold, folder):
    study = enfold.open(folder)
    return (study,)


@app.cell
def _(mo):
    mo.md("""
    ## Counts first

    A visit that could not be judged is *not evaluable*. It is no failure, and it is not left out of sight: the column
    stands beside the others. The imputed reading, which counts it as a failure, is a column of its own.
    """)
    return


@app.cell
def _(study):
    by_visit = study.sql("""
        SELECT visit_id, count(*) FILTER (status = 'met') AS met, count(*) FILTER (status = 'not_met') AS not_met,
               count(*) FILTER (status = 'not_evaluable') AS not_evaluable,
               count(*) FILTER (status_imputed = 'met') AS met_imputed
        FROM responses_by_visit WHERE alias = 'sri4' GROUP BY visit_id, ordinal ORDER BY ordinal
    """).to_arrow_table()
    by_visit
    return (by_visit,)


@app.cell
def _(mo):
    mo.md("""
    ## An exact interval

    The responders at week 12 among those who could be judged, with the interval of Clopper and Pearson from SciPy.
    Compare it with the table that `enfold report` prints.
    """)
    return


@app.cell
def _(by_visit, mo):
    from scipy.stats import binomtest

    (week_12,) = (row for row in by_visit.to_pylist() if row["visit_id"] == "W12")
    responders, judged = week_12["met"], week_12["met"] + week_12["not_met"]
    low, high = binomtest(responders, judged).proportion_ci(method="exact")
    said = f"SRI-4 at week 12: {responders}/{judged} (95 % interval {100 * low:.1f} to {100 * high:.1f} %)"
    mo.md(said)
    return (said,)


@app.cell
def _(mo):
    mo.md("""
    ## Why not?

    Who was judged and did not respond, and by which criterion: each verdict says what it compared.
    """)
    return


@app.cell
def _(study):
    reasons = study.sql("""
        SELECT subject_id, criterion, compared
        FROM verdicts WHERE alias = 'sri4' AND visit_id = 'W12' AND status = 'not_met' AND criterion <> 'overall'
        ORDER BY subject_id, criterion
    """).to_arrow_table()
    reasons
    return (reasons,)


@app.cell
def _(mo):
    mo.md("""
    ## Back to the source

    The events behind the first of these verdicts, with file, row and ledger position. `enfold explain` and
    `enfold history` tell the same story with who and when.
    """)
    return


@app.cell
def _(reasons, study):
    first = reasons.to_pylist()[0]
    sources = study.sql(
        """
        SELECT e.event_type, e.occurred, e.source_file, e.source_row, e.position
        FROM (SELECT *, unnest(event_ids) AS event_id FROM verdicts
              WHERE alias = 'sri4' AND visit_id = 'W12' AND subject_id = $subject AND criterion = $criterion) v
        JOIN events e USING (study_id, subject_id, event_id) ORDER BY ALL
        """,
        params={"subject": first["subject_id"], "criterion": first["criterion"]},
    ).to_arrow_table()
    sources
    return (sources,)


if __name__ == "__main__":
    app.run()
