"""A share of the damaged source files of `make torture`: refused clearly or read whole, within bounds."""

from faults import counts, formats


def test_damaged_files_of_every_format_are_refused_or_read_whole() -> None:
    count = counts.FORMAT_MUTANTS.of(full=False)
    plain = tuple(n for n in formats.FORMATS if n not in formats.DECLARED)
    for names, share in ((plain, count), (tuple(formats.DECLARED), count // 2)):
        found = formats.fuzz(share, seed=1, names=names)
        assert set(found) == set(names)
        for name, tally in found.items():
            assert tally.refused + tally.read >= share, name
            assert tally.refused > share // 4, name  # the damage is damage


def test_the_undamaged_files_are_read_and_landed(tmp_path_factory) -> None:
    from enfold.land import readers, sources
    from enfold.land.landing import land
    from enfold.ledger.ledger import Ledger

    def lands(name, source, using) -> None:
        Ledger.create(folder / f"study of {name}" / "ledger")
        report = land(folder / f"study of {name}", source, using, study_id="S", author="fuzz", reason="whole")
        assert report.landed, name
        assert not report.refusals, (name, report.refusals[:3])

    folder = tmp_path_factory.mktemp("whole")
    wanted = [{**row} for row in formats.rows()]
    for name in formats.DECLARED:
        files, using, dictionary = formats._files(name)
        top = folder / name if name == "x.meds" else folder
        for relative, data in files.items():
            (top / relative).parent.mkdir(parents=True, exist_ok=True)
            (top / relative).write_bytes(data)
        source = sources.read(folder / name, using, folder / dictionary if dictionary else None)
        assert source.rows.num_rows
        assert not source.faults, name
        lands(name, source, using)
    for name in [n for n in formats.FORMATS if n not in formats.DECLARED]:
        path = folder / name
        path.write_bytes(formats.whole(name))
        source = readers.read(path)
        lands(name, source, formats.chosen(name, source))
        rows = source.rows.drop_columns(["source_row"])
        if name.endswith(".xpt"):  # eight letters a name
            rows = rows.rename_columns(list(formats.HEAD))
        assert rows.to_pylist() == wanted, name
