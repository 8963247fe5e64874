from egemma_lab.explore import clock, start


def test_versions_and_hardware_are_said():
    shown = str(start())
    assert "torch 2" in shown
    assert "CPU cores" in shown


def test_a_missing_package_is_said_to_be_missing(monkeypatch):
    monkeypatch.setattr(clock, "NAMED", ("no-such-package",))
    assert "no-such-package not installed" in str(start())


def test_the_report_tells_minutes_and_memory(monkeypatch):
    running = start()
    running.began -= 90
    monkeypatch.setattr(clock, "peak_memory", lambda: 1.234)
    assert str(running.report()).startswith("This run took 1.5 minutes and at most 1.2 GB of memory on ")
    monkeypatch.setattr(clock, "peak_memory", lambda: None)
    assert "memory" not in str(running.report())
