//! A customer: an e-mail address and, at times, whose it is.

use serde::Deserialize;

use super::{Metadata, or_default};

#[derive(Debug, Clone, Deserialize)]
pub struct Customer {
    pub id: String,
    #[serde(default)]
    pub email: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub metadata: Metadata,
    /// A deleted customer is still answered, with its id and this mark only.
    #[serde(default)]
    pub deleted: bool,
}
