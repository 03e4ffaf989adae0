//! Text, terminals and windows that the tests show.
