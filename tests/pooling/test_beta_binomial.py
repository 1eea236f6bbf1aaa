"""The beta-binomial model against R, its limits, and what it does with rare events."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import betaln, gammaln

from metapeer.errors import ChoiceError, ConvergenceError, DataError
from metapeer.pooling.beta_binomial import contrast, fit_beta_binomial
from metapeer.pooling.beta_binomial_models import beta_binomial_meta_analysis

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "glmm.json").read_text(encoding="utf-8"))
COLUMNS = ["events1", "total1", "events2", "total2"]


def table(name):
    return pd.DataFrame(GOLDEN["data"][name])


def arrays(frame):
    return [frame[column].to_numpy(float) for column in COLUMNS]


def log_likelihood(frame, risk1, risk2, rho):
    """The textbook form, with beta functions: written out here so as not to lean on the product that is tested."""
    total = 0.0
    for arm, risk in (("1", risk1), ("2", risk2)):
        x, n = frame[f"events{arm}"].to_numpy(float), frame[f"total{arm}"].to_numpy(float)
        a, b = risk * (1 - rho) / rho, (1 - risk) * (1 - rho) / rho
        choose = gammaln(n + 1) - gammaln(x + 1) - gammaln(n - x + 1)
        total += np.sum(choose + betaln(x + a, n - x + b) - betaln(a, b))
    return float(total)


@pytest.mark.golden("glmm", "beta_binomial")
def test_maximum_is_the_one_found_in_r(row):
    # nlminb and a numerical Hessian: see make/glmm.R.
    found = beta_binomial_meta_analysis(table(row["data"]), measure=row["measure"])
    assert found.estimate == pytest.approx(row["estimate"], abs=2e-5 * row["se"])
    assert found.se == pytest.approx(row["se"], rel=2e-5)
    assert found.rho == pytest.approx(row["rho"], rel=1e-4, abs=1e-7)
    assert found.log_likelihood == pytest.approx(row["log_likelihood"], abs=1e-7)


@pytest.mark.parametrize("name", ["rare", "damico"])
def test_maximum_is_a_maximum_of_the_textbook_likelihood(name):
    found = beta_binomial_meta_analysis(table(name))
    at = (found.risk1, found.risk2, found.rho)
    assert found.log_likelihood == pytest.approx(log_likelihood(table(name), *at), abs=1e-8)
    assert found.rho > 0.01
    assert found.gradient < 1e-5
    for place in range(3):
        for factor in (0.98, 1.02):
            moved = [x * (factor if i == place else 1.0) for i, x in enumerate(at)]
            assert log_likelihood(table(name), *moved) < found.log_likelihood


def test_without_correlation_it_is_the_table_of_all_studies_thrown_together():
    found = beta_binomial_meta_analysis(table("hine"))
    a, n1, c, n2 = (float(x.sum()) for x in arrays(table("hine")))
    assert found.rho == 0.0
    assert math.isnan(found.rho_se)
    assert (found.rho_lrt, found.rho_lrt_p) == (0.0, 1.0)
    assert found.estimate == pytest.approx(math.log(a * (n2 - c) / ((n1 - a) * c)), abs=1e-9)
    assert found.se == pytest.approx(math.sqrt(1 / a + 1 / (n1 - a) + 1 / c + 1 / (n2 - c)), rel=1e-9)
    difference = beta_binomial_meta_analysis(table("hine"), measure="RD")
    assert difference.estimate == pytest.approx(a / n1 - c / n2, abs=1e-10)
    assert difference.se == pytest.approx(math.sqrt(a * (n1 - a) / n1**3 + c * (n2 - c) / n2**3), rel=1e-9)


def test_one_fit_serves_all_measures():
    fits = {m: beta_binomial_meta_analysis(table("rare"), measure=m) for m in ("OR", "RR", "RD")}
    p1, p2 = fits["OR"].risk1, fits["OR"].risk2
    assert fits["OR"].estimate == pytest.approx(math.log(p1 / (1 - p1) / (p2 / (1 - p2))), rel=1e-12)
    assert fits["RR"].estimate == pytest.approx(math.log(p1 / p2), rel=1e-12)
    assert fits["RD"].estimate == pytest.approx(p1 - p2, rel=1e-12)
    assert len({fit.log_likelihood for fit in fits.values()}) == 1


def test_studies_without_events_count():
    rare = table("rare")
    some = rare[(rare["events1"] > 0) | (rare["events2"] > 0)]
    kept, dropped = beta_binomial_meta_analysis(rare), beta_binomial_meta_analysis(some)
    assert (kept.k, kept.double_zero, kept.excluded) == (len(rare), 3, ())
    assert kept.risk2 < dropped.risk2
    assert "3 studies with no events, or nothing but events, in both arms took part" in kept.notes


def test_exchanging_arms_or_events_turns_signs():
    first = table("damico")
    arms = first.set_axis(["events2", "total2", "events1", "total1"], axis=1)
    others = first.assign(events1=first["total1"] - first["events1"], events2=first["total2"] - first["events2"])
    for measure in ("OR", "RR", "RD"):
        one = beta_binomial_meta_analysis(first, measure=measure)
        assert beta_binomial_meta_analysis(arms, measure=measure).estimate == pytest.approx(-one.estimate, abs=1e-9)
    for measure in ("OR", "RD"):
        one, other = (beta_binomial_meta_analysis(t, measure=measure) for t in (first, others))
        assert other.estimate == pytest.approx(-one.estimate, abs=1e-9)
        assert other.se == pytest.approx(one.se, rel=1e-8)
        assert other.rho == pytest.approx(one.rho, rel=1e-8)


def test_known_correlation_and_risks_are_found_again_in_many_studies():
    generator = np.random.default_rng(11)
    rho, risks, size = 0.1, (0.2, 0.3), 4000
    drawn = [generator.beta(p * (1 - rho) / rho, (1 - p) * (1 - rho) / rho, size) for p in risks]
    events = [generator.binomial(25, p).astype(float) for p in drawn]
    total = np.full(size, 25.0)
    fit = fit_beta_binomial(events[0], total, events[1], total)
    assert fit.rho == pytest.approx(rho, abs=4 * fit.rho_se)
    estimate, se = contrast(fit, "RD")
    assert estimate == pytest.approx(-0.1, abs=4 * se)
    # A mean of risks varies by rho p (1 - p) between studies and p (1 - p) (1 - rho) / 25 within.
    assert se == pytest.approx(math.sqrt(sum((rho + (1 - rho) / 25) * p * (1 - p) for p in risks) / size), rel=0.05)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"events1": 0}, "arm 1 has no event"),
        ({"events2": table("damico")["total2"]}, "arm 2 has only events"),
        ({"events1": [0, 23] * 8, "total1": 23, "events2": [31, 0] * 8, "total2": 31}, "in everybody or in nobody"),
    ],
)
def test_a_likelihood_without_a_maximum_is_refused_with_numbered_remedies(change, message):
    with pytest.raises(ConvergenceError, match=message) as caught:
        beta_binomial_meta_analysis(table("damico").assign(**change))
    assert [line.strip()[:2] for line in str(caught.value).splitlines()[1:]] == ["1.", "2.", "3."]


def test_bad_options_and_tables_are_refused():
    with pytest.raises(ChoiceError, match="Known: OR, RR, RD"):
        beta_binomial_meta_analysis(table("rare"), measure="IRR")
    with pytest.raises(ChoiceError, match="Known: z, t"):
        beta_binomial_meta_analysis(table("rare"), ci_method="HK")
    with pytest.raises(DataError, match="one study does not show"):
        beta_binomial_meta_analysis(table("rare").iloc[:1])
    with pytest.raises(DataError, match=r"row 2, events1: -1; a count of events must not be negative"):
        beta_binomial_meta_analysis(table("rare").assign(events1=[0, -1] * 5))


def test_summary_frame_and_plot_tell_the_same():
    found = beta_binomial_meta_analysis(table("rare"), measure="RR", ci_method="t")
    assert found.df == found.k - 1 == 9
    assert found.ci.high - found.estimate == pytest.approx(2.262157 * found.se, rel=1e-6)
    frame = found.to_frame()
    assert frame["estimate"].item() == found.estimate
    assert frame["rho"].item() == found.rho
    assert f"{found.rho:.4f}" in found.summary()
    assert "Beta-binomial model" in " ".join(text.get_text() for text in found.plot().axes[0].texts)
