//! A requirement as `requirements.toml` has it. What is wrong with one is found in `check`.

use vipd_engine::Profile;

/// Where a requirement can be proved, the innermost first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ring {
    /// The engine or the codec alone.
    Unit,
    /// Many routers in the simulator.
    Sim,
    /// Real kernels and what is on their wire.
    Wire,
}

impl Ring {
    pub const ALL: [Self; 3] = [Self::Unit, Self::Sim, Self::Wire];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Unit => "unit",
            Self::Sim => "sim",
            Self::Wire => "wire",
        }
    }
}

/// What a row says of one ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// `package::file::test`, with `#case` if it is a table.
    Test { package: String, file: String, test: String, case: Option<String> },
    /// `scenarios/FAMILY/NAME.toml`, with `#case` for one of its expectations.
    Scenario { file: String, case: Option<String> },
    /// `viplab conformance: EXPERIMENT`. That the experiment judges the row is held by
    /// `netns-tests/tests/conformance.rs`, which knows the experiments.
    Experiment(String),
    /// There is none yet; carries the reason.
    NotBuilt(String),
    /// There can be none; carries the reason.
    NotApplicable(String),
    /// None of these.
    Unreadable,
}

impl Proof {
    pub fn parse(text: &str) -> Self {
        if let Some(reason) = text.strip_prefix("not built:") {
            return Self::NotBuilt(reason.trim().to_owned());
        }
        if let Some(reason) = text.strip_prefix("not applicable:") {
            return Self::NotApplicable(reason.trim().to_owned());
        }
        if let Some(experiment) = text.strip_prefix("viplab conformance: ") {
            return Self::Experiment(experiment.to_owned());
        }
        let (place, case) = match text.split_once('#') {
            Some((place, case)) => (place, Some(case.to_owned())),
            None => (text, None),
        };
        if place.starts_with("scenarios/") {
            return Self::Scenario { file: place.to_owned(), case };
        }
        match place.split("::").collect::<Vec<_>>()[..] {
            [package, file, test] => Self::Test {
                package: package.to_owned(),
                file: file.to_owned(),
                test: test.to_owned(),
                case,
            },
            _ => Self::Unreadable,
        }
    }

    /// Whether it names something that runs.
    pub const fn is_built(&self) -> bool {
        matches!(self, Self::Test { .. } | Self::Scenario { .. } | Self::Experiment(_))
    }
}

/// One requirement.
#[derive(Clone, Debug, Default)]
pub struct Row {
    pub id: String,
    pub section: String,
    pub source: String,
    pub level: String,
    pub requirement: String,
    pub profiles: Vec<String>,
    /// Why `drop-in` leaves it, and what restores it.
    pub deviation: Option<String>,
    /// Why the profile of an RFC that it comes from leaves it.
    pub exception: Option<String>,
    pub code: Option<String>,
    rings: [Option<String>; 3],
}

impl Row {
    /// What it says of this ring, `None` if the ring cannot show it.
    pub fn proof_text(&self, ring: Ring) -> Option<&str> {
        self.rings[ring as usize].as_deref()
    }

    pub fn proof(&self, ring: Ring) -> Option<Proof> {
        self.proof_text(ring).map(Proof::parse)
    }

    pub fn is_must(&self) -> bool {
        self.level == "MUST" || self.level == "MUST NOT"
    }

    pub fn holds_in(&self, profile: Profile) -> bool {
        self.profiles.iter().any(|name| name == profile.name())
    }

    /// The profiles of the RFCs that its source names.
    pub fn comes_from(&self) -> impl Iterator<Item = Profile> {
        let numbers = self.source.split(|letter: char| !letter.is_ascii_digit());
        let numbers: Vec<_> = numbers.collect();
        let rfcs = Profile::ALL.into_iter().filter_map(|profile| Some((profile, rfc(profile)?)));
        rfcs.filter(move |(_, rfc)| numbers.contains(rfc)).map(|(profile, _)| profile)
    }

    /// What it says of a ring that needs no real kernel, with the ring.
    pub fn in_memory(&self) -> impl Iterator<Item = (Ring, Proof)> {
        [Ring::Unit, Ring::Sim].into_iter().filter_map(|ring| Some((ring, self.proof(ring)?)))
    }
}

/// The number of the RFC that a profile follows.
pub const fn rfc(profile: Profile) -> Option<&'static str> {
    match profile {
        Profile::DropIn => None,
        Profile::Rfc3768 => Some("3768"),
        Profile::Rfc5798 => Some("5798"),
        Profile::Rfc9568 => Some("9568"),
    }
}

/// Every requirement, in its order.
#[derive(Clone, Debug)]
pub struct Ledger {
    pub rows: Vec<Row>,
}

impl Ledger {
    /// Reads it; a field that is missing stays empty, which `check` finds.
    pub fn parse(text: &str) -> Result<Self, String> {
        let table: toml::Table = text.parse().map_err(|error| format!("{error}"))?;
        let rows = table.get("row").and_then(toml::Value::as_array).ok_or("no rows")?;
        let rows = rows.iter().enumerate().map(|(index, row)| {
            let table = row.as_table().ok_or_else(|| format!("row {}: no table", index + 1))?;
            read(table, index + 1)
        });
        Ok(Self { rows: rows.collect::<Result<_, _>>()? })
    }
}

fn read(table: &toml::Table, number: usize) -> Result<Row, String> {
    let mut row = Row::default();
    let id = table.get("id").and_then(toml::Value::as_str);
    let name = id.map_or_else(|| format!("row {number}"), str::to_owned);
    for (key, value) in table {
        if key == "profiles" {
            let list = value.as_array().ok_or_else(|| format!("{name}: profiles is no list"))?;
            row.profiles = list.iter().map(|item| item.to_string().replace('"', "")).collect();
            continue;
        }
        let text = value.as_str().ok_or_else(|| format!("{name}: {key} is no text"))?.to_owned();
        match key.as_str() {
            "id" => row.id = text,
            "section" => row.section = text,
            "source" => row.source = text,
            "level" => row.level = text,
            "requirement" => row.requirement = text,
            "deviation" => row.deviation = Some(text),
            "exception" => row.exception = Some(text),
            "code" => row.code = Some(text),
            "unit" => row.rings[Ring::Unit as usize] = Some(text),
            "sim" => row.rings[Ring::Sim as usize] = Some(text),
            "wire" => row.rings[Ring::Wire as usize] = Some(text),
            _ => return Err(format!("{name}: no field is called {key}")),
        }
    }
    Ok(row)
}
