//! The configuration as it takes effect: every value of the keyword table with its origin, defaults
//! filled in. It decides nothing; values come from the settled configuration, rows from the table.

use serde::Serialize;
use serde_json::{Map, Value, json};
use vipd_engine::Profile;
use vipd_engine::config::GroupConfig;

use crate::diagnostics::{Sources, Span};
use crate::keywords::{Keyword, Place, Show};
use crate::meaning::{Draft, GroupDraft, Origins, Placed, Settled, show_fib, show_static};

mod servers;

/// Every value of a configuration and where it comes from; serialises to one JSON object.
///
/// A value is `{"value": .., "origin": ..}`; the origin is `FILE:LINE:COLUMN`, `default`,
/// `vrrp_strict`, or `profile NAME`. A password is never shown.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Effective(Value);

impl Effective {
    pub(crate) fn new(
        draft: &Draft,
        settled: &Settled,
        sources: &Sources,
        profile: Profile,
    ) -> Self {
        let page = Page { draft, sources, profile };
        Self(json!({
            "profile": profile.name(),
            "global_defs": page.globals(),
            "vrrp_instance": page.instances(settled),
            "vrrp_sync_group": page.groups(settled),
            "vrrp_script": page.scripts(),
            "track_file": page.files(),
            "vrrp_track_process": page.processes(),
            "virtual_server": page.virtual_servers(),
            "virtual_server_group": page.server_groups(),
            "SSL": page.ssl(),
            "static_ipaddress": page.stands("static_ipaddress", &show_static(&settled.statics)),
            "static_routes":
                page.stands("static_routes", &show_fib(&settled.statics.fib, false)),
            "static_rules": page.stands("static_rules", &show_fib(&settled.statics.fib, true)),
        }))
    }

    /// The whole of it.
    #[must_use]
    pub const fn as_value(&self) -> &Value {
        &self.0
    }
}

struct Page<'a> {
    draft: &'a Draft,
    sources: &'a Sources,
    profile: Profile,
}

impl Page<'_> {
    fn globals(&self) -> Value {
        let globals = &self.draft.globals;
        let show = |show: Show| match show {
            Show::Globals(value) => Some(value(globals)),
            Show::Ipvs(value) => Some(value(&self.draft.director.globals)),
            _ => None,
        };
        let strict = globals.shared.strict == Some(true);
        Value::Object(self.values(&[Place::GlobalDefs], &globals.origins, strict, show))
    }

    fn instances(&self, settled: &Settled) -> Value {
        let one = |instance: &crate::meaning::Instance| {
            let show = |show: Show| match show {
                Show::Instance(value) => Some(value(instance)),
                _ => None,
            };
            let places = [Place::VrrpInstance, Place::Authentication];
            let values = self.values(&places, &instance.origins, instance.strict, show);
            self.block(instance.config.name.as_str(), &instance.origins, values)
        };
        settled.instances.iter().map(one).collect()
    }

    fn groups(&self, settled: &Settled) -> Value {
        let drafts = &self.draft.groups;
        let one = |(group, draft): (&Placed<GroupConfig>, &Placed<GroupDraft>)| {
            let show = |show: Show| match show {
                Show::Group(value) => Some(value(&group.value)),
                Show::GroupNotify(value) => Some(value(&draft.value.notify)),
                _ => None,
            };
            let values = self.values(&[Place::SyncGroup], &group.origins, false, show);
            self.block(group.value.name.as_str(), &group.origins, values)
        };
        settled.groups.iter().zip(drafts).map(one).collect()
    }

    fn scripts(&self) -> Value {
        let one = |script: &Placed<crate::trackers::Script>| {
            let show = |show: Show| match show {
                Show::Script(value) => Some(value(&script.value)),
                _ => None,
            };
            let values = self.values(&[Place::VrrpScript], &script.origins, false, show);
            self.block(script.value.name.as_str(), &script.origins, values)
        };
        self.draft.scripts.iter().map(one).collect()
    }

    fn files(&self) -> Value {
        let one = |file: &Placed<crate::trackers::TrackedFile>| {
            let show = |show: Show| match show {
                Show::File(value) => Some(value(&file.value)),
                _ => None,
            };
            let values = self.values(&[Place::TrackFile], &file.origins, false, show);
            self.block(file.value.name.as_str(), &file.origins, values)
        };
        self.draft.files.iter().map(one).collect()
    }

    fn processes(&self) -> Value {
        let one = |process: &Placed<crate::trackers::TrackedProcess>| {
            let show = |show: Show| match show {
                Show::Process(value) => Some(value(&process.value)),
                _ => None,
            };
            let values = self.values(&[Place::TrackProcess], &process.origins, false, show);
            self.block(process.value.name.as_str(), &process.origins, values)
        };
        self.draft.processes.iter().map(one).collect()
    }

    /// A list that stands outside any block.
    fn stands(&self, keyword: &str, value: &Value) -> Value {
        let place = self.draft.root.given.get(keyword);
        let origin = place.map_or_else(|| "default".to_owned(), |place| self.place(*place));
        json!({ "value": value, "origin": origin })
    }

    /// A block with its name and its place.
    fn block(&self, name: &str, origins: &Origins, mut values: Map<String, Value>) -> Value {
        values.insert("name".to_owned(), json!(name));
        values.insert("origin".to_owned(), json!(origins.block.map(|place| self.place(place))));
        Value::Object(values)
    }

    /// The rows of the table that have a value here.
    fn values(
        &self,
        places: &[Place],
        origins: &Origins,
        strict: bool,
        show: impl Fn(Show) -> Option<Value>,
    ) -> Map<String, Value> {
        let rows = places.iter().flat_map(|place| place.rows());
        let shown = rows.filter_map(|row| {
            let value = show(row.show)?;
            let origin = self.origin(row, origins, strict);
            Some((row.name.to_owned(), json!({ "value": value, "origin": origin })))
        });
        shown.collect()
    }

    fn origin(&self, row: &Keyword, origins: &Origins, strict: bool) -> String {
        if let Some(place) = origins.given.get(row.sets) {
            return self.place(*place);
        }
        let globals = &self.draft.globals.origins;
        let mut inherited = row.inherits;
        while let Some(name) = inherited {
            if let Some(place) = globals.given.get(name) {
                return self.place(*place);
            }
            inherited = Place::GlobalDefs.find(name).and_then(|row| row.inherits);
        }
        match self.profile {
            Profile::DropIn if strict && row.by_profile => "vrrp_strict".to_owned(),
            Profile::Rfc3768 | Profile::Rfc5798 | Profile::Rfc9568
                if row.by_profile || row.by_profile_alone =>
            {
                format!("profile {}", self.profile.name())
            }
            Profile::DropIn | Profile::Rfc3768 | Profile::Rfc5798 | Profile::Rfc9568 => {
                "default".to_owned()
            }
        }
    }

    fn place(&self, span: Span) -> String {
        let position = self.sources.position(span);
        format!("{}:{}:{}", self.sources.path(span.file), position.line, position.column)
    }
}
