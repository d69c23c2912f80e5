"""Tables larger than memory, and more machines than one: what other rooms do to rows in memory, in batches and parts.

Everything that is counted is a sum, so the figures are those of the whole table, to the last count.
"""
