"""Events become increments, increments become series, series become bytes."""
