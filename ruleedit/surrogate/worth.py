"""What a clause must be worth: rules that the rows don't bear out are taken back, though there is budget for them.

On a small table a search under a budget of clauses always finds some that win a row or two, and these say
nothing of rows that it hasn't seen. So a list pays for each clause as in a description of least length
(Rissanen: *Modeling by Shortest Data Description*, Automatica 14, 1978): naming one of all the tests that
there are takes log(tests), and a row more that is right saves the log of the odds of being right. A model's
answers have no noise, so where many rows stay wrong that is for want of clauses and not by chance: the
price is never more than `MOST_PRICE` rows.
"""

from __future__ import annotations

import math

from ruleedit.surrogate.binned import Binned
from ruleedit.surrogate.lists import Draftlist, sweep

#: A clause is asked to win so many rows at most.
MOST_PRICE = 1.5
#: Taking a clause back can make another one idle; so often it is gone through at most.
MOST_SWEEPS = 10


def clause_price(found: Draftlist, data: Binned) -> float:
    """The rows that a clause of the list must win, each by its weight."""
    # One more on each side keeps a list without an error from being infinitely sure.
    odds = (found.hits(data) + 1.0) / (data.total - found.hits(data) + 1.0)
    tests = sum(bins.size for bins in data.bins)
    return min(MOST_PRICE, math.log(max(2, tests)) / math.log(odds)) if odds > 1.0 else MOST_PRICE


def borne_out(found: Draftlist, data: Binned, budget: int) -> Draftlist:
    """The list without what isn't worth its clauses, bettered at that price; what came in stays as it is."""
    kept = found.copy()
    price = clause_price(found, data)
    for _ in range(MOST_SWEEPS):
        if not sweep(kept, data, price, budget):
            break
    return kept
