//! The part of virtual servers: what a block does not say comes from the one around.

use serde_json::{Map, Value, json};
use vipd_engine::config::director::RealServer;
use vipd_engine::config::health::Url;

use super::Page;
use crate::keywords::{Place, Show};
use crate::meaning::director::draft::{CheckDraft, RealDraft, ServerDraft, SslDraft, UrlDraft};
use crate::meaning::director::show::{CheckView, RealView, ServerView};
use crate::meaning::{Origins, Placed};

impl Page<'_> {
    pub(super) fn server_groups(&self) -> Value {
        let one = |group: &Placed<crate::meaning::director::group::ServiceGroup>| {
            let entries = group.value.entries.iter().map(|(entry, place)| {
                json!({ "value": entry.to_string(), "origin": self.place(*place) })
            });
            let mut values = Map::new();
            values.insert("entries".to_owned(), entries.collect());
            self.block(&group.value.name, &group.origins, values)
        };
        self.draft.director.groups.iter().map(one).collect()
    }

    pub(super) fn ssl(&self) -> Value {
        let one = |ssl: &Placed<SslDraft>| {
            let show = |show: Show| match show {
                Show::Ssl(value) => Some(value(&ssl.value)),
                _ => None,
            };
            Value::Object(self.values(&[Place::Ssl], &ssl.origins, false, show))
        };
        self.draft.director.ssl.iter().map(one).collect()
    }

    /// Those that the engine is given.
    pub(super) fn virtual_servers(&self) -> Value {
        let servers = self.draft.director.servers.iter();
        servers.filter_map(|placed| self.virtual_server(placed)).collect()
    }

    fn virtual_server(&self, placed: &Placed<ServerDraft>) -> Option<Value> {
        let draft = &placed.value;
        let server = draft.settled.as_deref()?;
        let (_, mail) = self.draft.director.globals.mails();
        let view = ServerView { server, draft, mail };
        let show = |show: Show| match show {
            Show::VirtualServer(value) => Some(value(&view)),
            _ => None,
        };
        let mut values = self.values(&[Place::VirtualServer], &placed.origins, false, show);
        let services = server.services.iter().map(ToString::to_string);
        values.insert("services".to_owned(), services.collect());
        let real = server.real_servers.iter().zip(&draft.real_servers);
        let real = real.map(|(real, draft)| self.real_server(real, draft, placed));
        values.insert("real_server".to_owned(), real.collect());
        Some(self.block(&server.name.to_string(), &placed.origins, values))
    }

    fn real_server(
        &self,
        real: &RealServer,
        draft: &RealDraft,
        server: &Placed<ServerDraft>,
    ) -> Value {
        let (mail, _) = self.draft.director.globals.mails();
        let settings = draft.settings.or(&server.value.settings);
        let view = RealView { real, draft, settings, mail };
        let show = |show: Show| match show {
            Show::RealServer(value) => Some(value(&view)),
            _ => None,
        };
        let around = [&server.origins];
        let mut values = self.inheriting(Place::RealServer, &draft.origins, &around, show);
        let mut checks = real.checks.iter();
        for draft_of_check in &draft.checks {
            for placed in checks.by_ref().take(draft_of_check.hosts.len().max(1)) {
                let check = &placed.check();
                let view = CheckView { check, draft: draft_of_check };
                let around = [&draft.origins, &server.origins];
                let shown = self.check(&view, draft_of_check, &around);
                let all = values.entry(check.kind.name()).or_insert_with(|| json!([]));
                if let Value::Array(all) = all {
                    all.push(shown);
                }
            }
        }
        self.block(&format!("{} {}", real.address, real.port), &draft.origins, values)
    }

    fn check(&self, view: &CheckView<'_>, draft: &CheckDraft, around: &[&Origins]) -> Value {
        let show = |show: Show| match show {
            Show::Check(value) => Some(value(view)),
            _ => None,
        };
        let mut values = self.inheriting(draft.place(), &draft.origins, around, show);
        if let (Some(http), Some(urls)) = (view.http(), draft.urls()) {
            let around = [&[&draft.origins], around].concat();
            let urls = http.urls.iter().zip(urls);
            let urls = urls.map(|(url, draft)| self.url(url, draft, &around));
            values.insert("url".to_owned(), urls.collect());
        }
        Value::Object(values)
    }

    fn url(&self, url: &Url, draft: &UrlDraft, around: &[&Origins]) -> Value {
        let show = |show: Show| match show {
            Show::Url(value) => Some(value(url)),
            _ => None,
        };
        Value::Object(self.inheriting(Place::Url, &draft.origins, around, show))
    }

    /// As [`Page::values`]; what the block does not say has the origin that it has in the next one
    /// around that does.
    fn inheriting(
        &self,
        place: Place,
        origins: &Origins,
        around: &[&Origins],
        show: impl Fn(Show) -> Option<Value>,
    ) -> Map<String, Value> {
        let shown = place.rows_and_common().filter_map(|row| {
            let value = show(row.show)?;
            // The weight of a file is not that of a real server.
            let outer = if place == Place::FileCheck { &[] } else { around };
            let given = outer.iter().find_map(|one| one.given.get(row.outer));
            let origin = match given.filter(|_| !origins.given.contains_key(row.sets)) {
                Some(place) => self.place(*place),
                None => self.origin(row, origins, false),
            };
            Some((row.name.to_owned(), json!({ "value": value, "origin": origin })))
        });
        shown.collect()
    }
}
