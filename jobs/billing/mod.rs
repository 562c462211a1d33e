//! What a period costs: all of it decided here, none of it rounded anywhere but in [`crate::money`].
