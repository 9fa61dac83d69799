"""Estimate when values of a progress arrive, from polls that only tell which have and which have not. No I/O.

Value v is taken to arrive at `origin + pace * v`, up to noise that grows with each step. What is known of the two is
a normal distribution, as in a Kalman filter. A poll only tells on which side of it an arrival lies; the normal
distribution with the mean and the variance of the part on that side takes the place of the former one (moment
matching).
"""

from math import erf, exp, pi, sqrt

__all__ = ["Arrivals"]

NOISE = 0.05
"""Standard deviation of the seconds of a step of STEP, as a part of their mean; they add up from value to value."""
STEP = 0.05
DRIFT = 0.03
"""By how much the pace changes over a whole request, as a part of it."""
SURPRISE = 3.0
"""Standard deviations off which an arrival shows that the distribution is too narrow."""
DOUBT, MOST_DOUBT = 1.5, 30.0
"""By how much wider the distribution then becomes, in terms of what would just explain the arrival, and at most."""
MIN_VARIANCE = 1e-8
MIN_PACE = 1e-3


class Arrivals:
    """The arrivals of one request's values, in monotonic seconds. `value` is the latest that is known to have come.

    `arrived` is its estimated arrival, `pace` the seconds from progress 0 to 1; both come with standard deviations.
    """

    def __init__(self, value: float, arrived: float, arrived_error: float, pace: float, pace_error: float) -> None:
        self.value = value
        self.arrived = arrived
        self.pace = max(pace, MIN_PACE)
        # The covariance matrix of `arrived` and `pace`.
        self._arrived_variance = max(arrived_error**2, MIN_VARIANCE)
        self._covariance = 0.0
        self._pace_variance = max(pace_error**2, MIN_VARIANCE)

    def error(self) -> float:
        """Return the standard deviation of `arrived`."""
        return sqrt(self._arrived_variance)

    def expect(self, value: float) -> tuple[float, float]:
        """Return the mean and the standard deviation of the arrival of a value that is not below the latest."""
        rise = value - self.value
        variance = self._arrived_variance + 2 * rise * self._covariance + rise**2 * self._pace_variance
        return self.arrived + self.pace * rise, sqrt(max(variance + self._noise(rise), MIN_VARIANCE))

    def missing(self, value: float, now: float) -> None:
        """Record that a value above the latest has not come yet."""
        self._cut(value, now, 1.0)

    def came(self, value: float, now: float) -> None:
        """Record that a value above the latest has come, whenever that was; it is the latest now."""
        self._cut(value, now, -1.0)
        rise = value - self.value
        noise = self._noise(rise)
        self.arrived += self.pace * rise
        self._arrived_variance += 2 * rise * self._covariance + rise**2 * self._pace_variance + noise
        self._covariance += rise * self._pace_variance
        self._pace_variance += (DRIFT * self.pace) ** 2 * rise
        self.value = value

    def _noise(self, rise: float) -> float:
        return (NOISE * self.pace) ** 2 * STEP * rise

    def _cut(self, value: float, now: float, side: float) -> None:
        """Keep the part of the distribution in which a value arrives after `now` (side 1), or before (-1)."""
        mean, error = self.expect(value)
        bound = side * (now - mean) / error
        waits = self.value == 0 and side > 0
        if bound > SURPRISE:
            self._doubt(bound / SURPRISE, now - mean if waits else 0.0)
            mean, error = self.expect(value)
            bound = side * (now - mean) / error
        rise = value - self.value
        # The mean of a standard normal variable above `bound`, and by how much its variance is less than 1.
        shift = _mean_above(bound)
        narrower = min(shift * (shift - bound), 0.99)
        arrived_gain = (self._arrived_variance + rise * self._covariance) / error
        # More likely it waits in the upstream's queue than that its steps are slow.
        pace_gain = 0.0 if waits else (self._covariance + rise * self._pace_variance) / error
        self.arrived += side * arrived_gain * shift
        self.pace = min(max(self.pace + side * pace_gain * shift, self.pace / 4, MIN_PACE), 4 * self.pace)
        self._arrived_variance = max(self._arrived_variance - arrived_gain**2 * narrower, MIN_VARIANCE)
        self._pace_variance = max(self._pace_variance - pace_gain**2 * narrower, MIN_VARIANCE)
        # Rounding must not leave a matrix that is no covariance.
        most = 0.99 * sqrt(self._arrived_variance * self._pace_variance)
        self._covariance = min(max(self._covariance - arrived_gain * pace_gain * narrower, -most), most)

    def _doubt(self, surprise: float, waited: float) -> None:
        """Widen the distribution where it has just failed by more than it allows, `surprise` times that.

        Before the first value the request waits in the upstream's queue: it is expected `waited` seconds later, and
        the less exactly the longer it waits.
        """
        if waited:
            self.arrived += waited
            self._arrived_variance = max(self._arrived_variance, (waited / 2) ** 2)
            self._covariance = 0.0
            return
        wider = min(DOUBT * surprise, MOST_DOUBT) ** 2
        self._arrived_variance *= wider
        self._covariance *= wider
        self._pace_variance *= wider


def _mean_above(bound: float) -> float:
    """Return the mean of the part of the standard normal distribution above a bound."""
    if bound > 6.0:
        # The quotient would lose its digits; the tail is as steep as an exponential.
        return bound + 1 / bound
    return exp(-bound * bound / 2) / sqrt(2 * pi) / (0.5 * (1 - erf(bound / sqrt(2))))
