"""A specification curve shows the numbers it is given, in order, and stays legible."""

import numpy as np
import pandas as pd
import pytest

import metapeer as mp


def table_of(n, seed=1):
    rng = np.random.default_rng(seed)
    estimate, half = rng.normal(0.2, 0.1, n), rng.uniform(0.1, 0.3, n)
    frame = pd.DataFrame({"estimate": estimate, "ci_low": estimate - half, "ci_high": estimate + half})
    tau2 = rng.integers(0, 3, n)
    tiles = [("tau2_method", name, tau2 == i) for i, name in enumerate(["REML", "DL", "SJ"])]
    return frame.assign(supports=frame["ci_low"] > 0), tiles


def test_estimates_stand_in_order_and_options_beneath_them():
    frame, tiles = table_of(30)
    figure = mp.specification_curve_plot(frame, tiles=tiles)
    np.testing.assert_array_equal(figure.axes[0].lines[0].get_ydata(), np.sort(frame["estimate"]))
    order = np.argsort(frame["estimate"].to_numpy())
    for image, (_, _, taken) in zip(figure.axes[1].images, tiles, strict=True):
        np.testing.assert_array_equal(np.asarray(image.get_array())[0], taken[order])


def test_each_interval_is_drawn_with_the_colour_of_what_it_says():
    frame, tiles = table_of(25)
    figure = mp.specification_curve_plot(frame, tiles=tiles)
    drawn = {}
    for lines in figure.axes[0].collections:
        drawn[tuple(lines.get_colors()[0])] = sorted(tuple(path.vertices[:, 1]) for path in lines.get_paths())
    supporting = frame[frame["supports"]]
    wanted = sorted(zip(supporting["ci_low"], supporting["ci_high"], strict=True))
    assert wanted in list(drawn.values())
    assert sum(map(len, drawn.values())) == 25


def test_many_specifications_are_binned_to_shares():
    frame, tiles = table_of(14_000)
    figure = mp.specification_curve_plot(frame, tiles=tiles)
    shares = np.stack([np.asarray(image.get_array())[0] for image in figure.axes[1].images])
    assert shares.shape == (3, 700)
    np.testing.assert_allclose(shares.sum(axis=0), 1.0)
    np.testing.assert_allclose(shares.mean(axis=1), [np.mean(taken) for _, _, taken in tiles])


def test_ratios_have_ticks_on_their_own_scale():
    frame, tiles = table_of(20)
    panel = mp.specification_curve_plot(frame, tiles=tiles, ratio=True).axes[0]
    assert panel.get_ylim() == mp.specification_curve_plot(frame, tiles=tiles).axes[0].get_ylim()
    assert len(panel.get_yticks()) >= 3
    for place, label in zip(panel.get_yticks(), panel.get_yticklabels(), strict=True):
        assert float(label.get_text()) == pytest.approx(np.exp(place), rel=1e-6)


def test_a_very_wide_interval_does_not_flatten_the_curve():
    frame, tiles = table_of(40)
    frame.loc[3, "ci_high"] = 500.0
    panel = mp.specification_curve_plot(frame, tiles=tiles).axes[0]
    assert panel.get_ylim()[1] < 3
    assert panel.get_ylim()[0] < frame["ci_low"].min()


def test_files_are_the_same_on_every_run(tmp_path):
    frame, tiles = table_of(900)
    band = (np.full(50, -0.1), np.full(50, 0.1))
    files = [
        mp.save_figure(
            mp.specification_curve_plot(frame, tiles=tiles, band=band, title="A title"), tmp_path / name
        ).read_bytes()
        for name in ("a.png", "b.png")
    ]
    assert files[0] == files[1]


def test_the_figure_of_a_result_has_every_option_and_its_band():
    rng = np.random.default_rng(1)
    rows = pd.DataFrame({"study_id": list("abcdefg"), "yi": rng.normal(0.3, 0.2, 7), "vi": 0.05})
    found = mp.multiverse(rows, choices={"tau2_method": ["REML", "DL"], "ci_method": ["HK", "z"]}, claim="positive")
    figure = found.plot(test=mp.multiverse_test(found, draws=128))
    assert len(figure.axes[1].images) == 4
    dashed = [line for line in figure.axes[0].lines if line.get_linestyle() == "--"]
    assert len(dashed) == 2


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda f, t: mp.specification_curve_plot(f.drop(columns="ci_low"), tiles=t), "ci_low: is missing"),
        (lambda f, t: mp.specification_curve_plot(f.assign(estimate=np.nan), tiles=t), "not finite"),
        (lambda f, t: mp.specification_curve_plot(f, tiles=[("a", "b", [1, 2])]), "True or False"),
        (lambda f, t: mp.specification_curve_plot(f.head(0)), "no specification"),
        (lambda f, t: mp.specification_curve_plot(f, tiles=t, width=0.1), "width"),
        (lambda f, t: mp.specification_curve_plot(f, tiles=t, width=1), "no room"),
        (lambda f, t: mp.specification_curve_plot([1], tiles=t), "DataFrame"),
        (lambda f, t: mp.specification_curve_plot(f, tiles=t * 40), "80 are the most"),
    ],
)
def test_a_curve_that_cannot_be_drawn_says_why(make, told):
    with pytest.raises(mp.MetapeerError, match=told):
        make(*table_of(10))
