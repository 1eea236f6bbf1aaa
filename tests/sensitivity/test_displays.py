import numpy as np
import pytest

import metapeer as mp
from metapeer.errors import ChoiceError, DataError, MetapeerError

LADDER = {"yi": [0.1, 0.3, 0.35, 0.8, -0.1], "vi": [0.03, 0.03, 0.05, 0.04, 0.02]}


def curves(figure, label):
    found = (one for one in figure.axes[0].lines if one.get_label() == label)
    return [tuple(map(np.asarray, one.get_data())) for one in found]


def p_at(curve, effect):
    return float(np.interp(effect, *curve))


@pytest.mark.parametrize("ci_method", ["HK", "z", "t"])
@pytest.mark.parametrize("prediction_method", ["HTS", "V", "HK", "S", "KR"])
def test_a_drapery_is_cut_at_the_ends_of_the_printed_intervals(ci_method, prediction_method):
    fit = mp.meta_analysis(**LADDER, ci_method=ci_method, prediction_method=prediction_method, level=0.9)
    figure = mp.drapery_plot(fit)
    (pooled,), (prediction,) = curves(figure, "_pooled"), curves(figure, "_prediction")
    for end in fit.ci:
        assert p_at(pooled, end) == pytest.approx(0.1, abs=1e-6)
    for end in fit.prediction_interval:
        assert p_at(prediction, end) == pytest.approx(0.1, abs=1e-6)
    studies = fit.studies()
    for curve, low, high in zip(curves(figure, "_study"), studies["ci_low"], studies["ci_high"], strict=True):
        assert p_at(curve, low) == pytest.approx(0.1, abs=1e-6)
        assert p_at(curve, high) == pytest.approx(0.1, abs=1e-6)


def test_an_interval_that_is_no_estimate_plus_minus_a_quantile_has_no_p_value_function():
    with pytest.raises(ChoiceError, match="no p-value function"):
        mp.drapery_plot(mp.meta_analysis(**LADDER, tau2_method="ML", ci_method="PL"))


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_a_drapery_without_prediction_is_drawn_on_either_scale(scale):
    figure = mp.drapery_plot(mp.meta_analysis(**LADDER, model="common"), scale=scale)
    assert not curves(figure, "_prediction")
    assert len(curves(figure, "_pooled")) == 1


@pytest.mark.parametrize("tau2", ["left out", "included"])
def test_galbraith_takes_precision_with_or_without_heterogeneity(tau2):
    fit = mp.meta_analysis(**LADDER)
    figure = mp.galbraith_plot(fit, tau2=tau2)
    points = np.concatenate([one.get_offsets() for one in figure.axes[0].collections[1:]])
    extra = fit.tau2 if tau2 == "included" else 0.0
    assert sorted(points[:, 0]) == pytest.approx(sorted((np.array(LADDER["vi"]) + extra) ** -0.5))
    assert fit.tau2 > 0
    with pytest.raises(ChoiceError, match="tau2"):
        mp.galbraith_plot(fit, tau2="maybe")


def test_arrays_tables_and_fits_give_the_same_figure():
    fit = mp.meta_analysis(**LADDER)
    for draw in (mp.galbraith_plot, mp.drapery_plot, mp.rainforest_plot):
        texts = [[text.get_text() for text in draw(*args, **more).axes[0].texts] for args, more in (
            ((fit,), {}), ((), LADDER))]  # fmt: skip
        assert texts[0] == texts[1]
        with pytest.raises(DataError):
            draw(yi=[0.1, "x"], vi=[0.1, 0.2])


def test_a_rainforest_has_a_drop_for_each_study_and_the_intervals_of_the_fit():
    fit = mp.meta_analysis(**LADDER)
    figure = mp.rainforest_plot(fit)
    assert [x[0] for x, _ in curves(figure, "_estimate")] == LADDER["yi"]
    ((ends, _),) = curves(figure, "_prediction")
    assert ends == pytest.approx(list(fit.prediction_interval))


def test_ratios_keep_their_names_and_their_axis():
    figure = mp.rainforest_plot(mp.meta_analysis(**LADDER, measure="RR"))
    ticks = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert "1" in ticks
    assert any("Risk ratio" in text.get_text() for text in figure.axes[0].texts)


@pytest.mark.filterwarnings("ignore::metapeer.errors.DataWarning")
def test_one_study_can_be_drawn():
    for draw in (mp.galbraith_plot, mp.rainforest_plot):
        assert draw(yi=[0.3], vi=[0.1]).axes


@pytest.mark.parametrize(
    ("draw", "options"),
    [
        (mp.galbraith_plot, {"ax": 3}),
        (mp.galbraith_plot, {"width": "wide"}),
        (mp.drapery_plot, {"alpha": "x"}),
        (mp.drapery_plot, {"alpha": [2.0]}),
        (mp.drapery_plot, {"scale": "root"}),
        (mp.rainforest_plot, {"favours": "abc"}),
        (mp.rainforest_plot, {"x_limits": (3, 1)}),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(draw, options):
    with pytest.raises(MetapeerError):
        draw(**LADDER, **options)


@pytest.mark.filterwarnings("ignore::metapeer.errors.DataWarning")
@pytest.mark.parametrize(("yi", "vi"), [([0.0, 0.0], [0.1, 0.1]), ([0.1, 0.2, 0.3], [1e-9, 1e9, 0.1])])
def test_equal_effects_and_variances_far_apart_can_be_drawn(yi, vi):
    assert mp.galbraith_plot(yi=yi, vi=vi).axes
    assert mp.rainforest_plot(yi=yi, vi=vi).axes
