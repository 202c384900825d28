//! How many connections the kernel has to each real server of a report. The engine does not follow
//! them, so the kernel is asked behind it, where no advert waits.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tracing::debug;
use vipd_engine::ipvs::Endpoint;

use crate::ipvs::client::Datagrams;
use crate::ipvs::{Connections, Error, Ipvs};

/// Whether the kernel can say more about this report of [`super::report`].
#[must_use]
pub fn are_told(report: &Value) -> bool {
    report["director"]["ipvs"] == json!("there")
}

/// Puts them into a report. Whatever cannot be read stays null.
pub fn tell<D: Datagrams>(report: &mut Value, ipvs: Result<Ipvs<D>, Error>) {
    let pools = report["director"]["virtual_servers"].as_array_mut();
    let told = ipvs.and_then(|mut ipvs| tell_of(pools.into_iter().flatten(), &mut ipvs));
    if let Err(error) = told {
        debug!("no connections in the status: {error}");
    }
}

fn tell_of<'a, D: Datagrams>(
    pools: impl Iterator<Item = &'a mut Value>,
    ipvs: &mut Ipvs<D>,
) -> Result<(), Error> {
    let services = ipvs.services()?.into_iter().map(|one| (one.service.to_string(), one.service));
    let services: BTreeMap<_, _> = services.collect();
    for pool in pools {
        let named = pool["services"].as_array().into_iter().flatten();
        let named: Vec<_> = named.filter_map(|one| one["service"].as_str()).collect();
        let own: Vec<_> = named.iter().filter_map(|name| services.get(*name)).copied().collect();
        let Some(servers) = pool["real_servers"].as_array_mut().filter(|all| !all.is_empty())
        else {
            continue;
        };
        let mut sums: BTreeMap<String, Connections> = BTreeMap::new();
        for service in own {
            for one in ipvs.destinations(service)? {
                let endpoint = Endpoint { address: one.address, port: one.port };
                let sum = sums.entry(endpoint.to_string()).or_default();
                sum.active += one.connections.active;
                sum.inactive += one.connections.inactive;
                sum.persistent += one.connections.persistent;
            }
        }
        for server in servers {
            let sum = server["server"].as_str().and_then(|name| sums.get(name));
            server["connections"] = sum.map_or(Value::Null, |sum| {
                json!({
                    "active": sum.active,
                    "inactive": sum.inactive,
                    "persistent": sum.persistent,
                })
            });
        }
    }
    Ok(())
}
