"""The agent's metrics, as they are declared."""

from rolecall_agent.metrics import METRICS


def test_every_metric_has_its_own_name_and_says_what_it_means() -> None:
    """One table, from which the documentation is written."""
    names = [metric.name for metric in METRICS]

    assert len(set(names)) == len(names)
    assert all(metric.name.startswith("rolecall_") for metric in METRICS)
    assert all(metric.meaning.endswith(".") for metric in METRICS)


def test_no_label_can_name_a_pod_a_role_or_an_address() -> None:
    """Every list of label values is closed."""
    assert all(label.values for metric in METRICS for label in metric.labels)
