"""The box of the page that says what to do next with targets out of line, and the worst of them."""

from infotheory_dl import report
from infotheory_dl.audit.regression._run import RegressionAudit
from infotheory_dl.audit.regression.cards import target_order
from infotheory_dl.audit.regression.table import MEANINGS, score_columns
from infotheory_dl.audit.report.next_steps import Written
from infotheory_dl.report import Column, Html, count, probability, signed

_WORST = 10
_number = "{:.5g}".format


def worst(result: RegressionAudit) -> list[Column]:
    """The targets farthest out of line, at most ten, as the columns of a table for page and terminal."""
    places, residuals = target_order(result)[0][:_WORST].tolist(), result.residuals
    names = result.examples.names
    return [
        Column("example", [names[place] for place in places]),
        Column("target", [float(result.targets[place]) for place in places], _number),
        Column("predicted", [float(residuals.predictions[place]) for place in places], _number),
        Column("deviation, sd", [float(residuals.standardized[place]) for place in places], signed),
        Column("p", [float(residuals.p_value[place]) for place in places], probability),
    ]


def next_steps(result: RegressionAudit, written: Written) -> Html:
    """The box."""
    number = len(target_order(result)[0])
    columns = list(score_columns(result))
    steps = [
        report.sentence(
            report.link("scores.csv"),
            f" has a row for each of the {len(result.targets):,} examples, ",
            report.link("config.json"),
            " the settings and versions.",
            report.details("the columns of scores.csv", report.facts({name: MEANINGS[name] for name in columns})),
        )
    ]
    if number:
        program = (
            f"scores = pandas.read_csv({written.folder + '/scores.csv'!r})\n"
            'table = table.drop(index=table.index[scores.query("outlying_target == 1").example])  # table: your data'
        )
        steps.insert(0, report.sentence("Or leave them out in Python, where they are:", report.block(program)))
        steps.insert(
            0,
            report.sentence(
                f"Look at the {count(number, 'target out of line', 'targets out of line')} ",
                report.link("#suspected-targets", "below"),
                f": keep, relabel with the right number or drop each, export {written.decisions}, and audit again with"
                " what you decided:",
                report.block(written.again),
                report.details(
                    "the ten farthest out" if number > _WORST else "all of them", report.table(worst(result))
                ),
            ),
        )
    return report.box("Next", report.element("ol", *(report.element("li", step) for step in steps)))
