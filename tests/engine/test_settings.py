"""Settings out of their range, or in conflict with each other."""

import pytest

from tertium.engine.settings import FuseSettings, GenerateSettings, InvertSettings, SettingError, VarySettings


@pytest.mark.parametrize(
    ("make", "field", "message"),
    [
        (lambda: FuseSettings(), "intervention", "either a blend or an intervention; it got neither"),
        (lambda: FuseSettings(blend=0.5, intervention=2), "intervention", "it got both"),
        (lambda: FuseSettings(blend=1.1), "blend", "blend must be a number from 0 to 1; it is 1.1."),
        (lambda: FuseSettings(blend=float("nan")), "blend", "it is nan"),
        (lambda: FuseSettings(intervention=51), "intervention", "a number from 0 to 50; it is 51"),
        (lambda: FuseSettings(blend=0.5, hold=-0.1), "hold", "hold must be a number from 0 to 1"),
        (
            lambda: FuseSettings(blend=0.5, anchor="ship"),
            "anchor",
            "one of clean, predicted, forward, stochastic; it is 'ship'",
        ),
        (lambda: VarySettings(null="none"), "null", "null must be one of unconditional, empty; it is 'none'."),
        (lambda: FuseSettings(blend=0.5, steps=0), "steps", "a whole number from 1 to 500; it is 0"),
        (lambda: FuseSettings(blend=0.5, steps=2.5), "steps", "it is 2.5"),
        (lambda: FuseSettings(blend=0.5, order=4), "order", "from 1 to 3; it is 4"),
        (lambda: FuseSettings(blend=0.5, eta=True), "eta", "it is True"),
        (lambda: FuseSettings(blend=0.5, seed=-1), "seed", "from 0 to 2147483647; it is -1"),
        (lambda: FuseSettings(blend=0.5, guidance=99), "guidance", "from 0 to 30"),
        (lambda: GenerateSettings(prompt=None, seconds=1), "prompt", "prompt must be text; it is None"),
        (lambda: GenerateSettings(prompt="", seconds=float("inf")), "seconds", "a number above 0; it is inf"),
        (lambda: VarySettings(strength=2), "strength", "strength must be a number from 0 to 1; it is 2"),
        (lambda: InvertSettings(reconstruct_from=51), "reconstruct_from", "from 0 to 50; it is 51"),
    ],
)
def test_settings_out_of_range(make, field, message):
    with pytest.raises(SettingError) as caught:
        make()
    assert message in caught.value.message
    assert (caught.value.code, caught.value.field) == ("out_of_range", field)
    assert caught.value.remedy
