//! The configuration as it takes effect: every value, defaults filled in, with its origin.

use serde::Serialize;
use serde_json::Value;

/// Every value of a configuration and where it comes from. Serialises to one JSON object.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Effective(pub Value);
