//! The requirements that real wires can show, from `requirements.toml`, which is built in.

use toml::Value;
use vipd_engine::Profile;

const LEDGER: &str = include_str!("../../../requirements.toml");
/// What the column `wire` says of a row that an experiment judges.
const PROOF: &str = "viplab conformance: ";

/// A row of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// Its name.
    pub id: String,
    /// Its chapter.
    pub section: String,
    /// `MUST`, `SHOULD NOT`, ...
    pub level: String,
    /// What is required.
    pub text: String,
    profiles: Vec<String>,
    /// Why vipd's `drop-in` leaves it.
    pub deviation: Option<String>,
    /// What the column `wire` says.
    pub wire: String,
}

/// What the column `wire` says of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire<'a> {
    /// This experiment judges it.
    Judged(&'a str),
    /// Nothing judges it yet, and why.
    NotBuilt(&'a str),
    /// Nothing can, and why.
    NotApplicable(&'a str),
}

impl Requirement {
    /// Whether it is to hold under the rules of this profile.
    #[must_use]
    pub fn holds_in(&self, profile: Profile) -> bool {
        self.profiles.iter().any(|name| name == profile.name())
    }

    /// What the column `wire` says, `None` if that is of no known form.
    #[must_use]
    pub fn wire(&self) -> Option<Wire<'_>> {
        let after = |prefix| self.wire.strip_prefix(prefix);
        after(PROOF)
            .map(Wire::Judged)
            .or_else(|| after("not built: ").map(Wire::NotBuilt))
            .or_else(|| after("not applicable: ").map(Wire::NotApplicable))
    }
}

/// Every requirement that real wires can show, in the order of the ledger.
///
/// # Errors
/// Where the ledger cannot be read.
pub fn requirements() -> Result<Vec<Requirement>, String> {
    let table: toml::Table = LEDGER.parse().map_err(|error| format!("{error}"))?;
    let rows = table.get("row").and_then(Value::as_array).ok_or("no rows")?;
    let text = |row: &Value, key: &str| row.get(key).and_then(Value::as_str).map(str::to_owned);
    let read = |row: &Value| {
        let profiles = row.get("profiles").and_then(Value::as_array);
        let profiles = profiles.into_iter().flatten().filter_map(Value::as_str);
        Some(Requirement {
            id: text(row, "id")?,
            section: text(row, "section")?,
            level: text(row, "level")?,
            text: text(row, "requirement")?,
            profiles: profiles.map(str::to_owned).collect(),
            deviation: text(row, "deviation"),
            wire: text(row, "wire")?,
        })
    };
    Ok(rows.iter().filter_map(read).collect())
}
