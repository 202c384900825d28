//! What each step of a scenario does to real hosts, and which steps this world lacks.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use vipd_scenarios::record::{HostId, MachineChange, ProcessChange, Recorder, Seen};
use vipd_scenarios::scenario::{Conduct, Paths, Scenario, Step};
use vipd_sim::inject::Running;
use vipd_sim::link::{Cut, Path};
use vipd_sim::network::Due;

use crate::hosts::Held;
use crate::node::Kind;
use crate::world::Lab;

/// Why this world lacks a step, if it does. `kind` says what runs on a host.
pub(crate) fn lacks(step: &Step, kind: impl Fn(HostId) -> Kind) -> Result<(), String> {
    let is_frr = |host: &HostId| kind(*host) == Kind::Frr;
    let reason = match step {
        Step::Freeze { clock: true, .. } => "a real machine's clock cannot be stopped",
        Step::ClockDrift { .. } => "a real kernel's clock keeps its rate",
        Step::WallClockJump { .. } => "all hosts share the wall clock of this machine",
        Step::Late { .. } => "a real process is as late as it is",
        Step::Tracker { .. } => "trackers run in the process, nobody sets their value",
        Step::KernelFails { .. } => "a real kernel does not fail at will",
        Step::Server { conduct: Conduct::Unreachable, .. } => "there is no router that says so",
        Step::KernelLate { .. } => "a real kernel takes the time that it takes",
        Step::RemoveEntry { .. } => "routes and rules of the hosts are not watched here",
        Step::Reload { host, refused: true, .. } if kind(*host) == Kind::Keepalived => {
            "keepalived takes of a file with errors what it can"
        }
        Step::Reload { host, .. } if is_frr(host) => "FRR only adds what a file says anew",
        Step::RemoveAddress { host, .. } if is_frr(host) => "nobody puts FRR's addresses back",
        Step::FlapVirtualMac { host, .. } if is_frr(host) => "FRR's macvlan is never taken down",
        Step::Operator { host, .. } => match kind(*host) {
            Kind::Vipd => return Ok(()),
            Kind::Keepalived => "keepalived takes no orders",
            Kind::Frr => "FRR takes no orders",
        },
        Step::Start(_)
        | Step::Stop(_)
        | Step::Kill(_)
        | Step::Pause(_)
        | Step::Resume(_)
        | Step::Freeze { clock: false, .. }
        | Step::Thaw(_)
        | Step::PowerOff(_)
        | Step::PowerOn(_)
        | Step::Cut(_)
        | Step::CutMulticast(_)
        | Step::Heal(_)
        | Step::Lose { .. }
        | Step::Conditions { .. }
        | Step::LinkDown { .. }
        | Step::LinkUp { .. }
        | Step::RemoveAddress { .. }
        | Step::Reload { .. }
        | Step::FlapVirtualMac { .. }
        | Step::Server { .. }
        | Step::Inject(_) => return Ok(()),
    };
    Err(format!("{}: {reason}", step.name()))
}

/// Why a scenario cannot be played here: one reason for each kind of step that this world lacks.
/// `nodes` says what runs on a host; vipd where nothing is said.
#[must_use]
pub fn lacking(scenario: &Scenario, nodes: &BTreeMap<String, Kind>) -> Vec<String> {
    let kind = |id: HostId| {
        let name = &*scenario.hosts[usize::from(id.0)].name;
        nodes.get(name).copied().unwrap_or_default()
    };
    let mut reasons: Vec<String> = Vec::new();
    for reason in scenario.steps.iter().filter_map(|timed| lacks(&timed.step, kind).err()) {
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    reasons
}

impl Lab {
    /// Does a step now. A step that changes nothing (a second start) is no error.
    pub(crate) fn play(&mut self, step: &Step, record: &mut dyn Recorder) -> Result<(), String> {
        match step {
            Step::Start(host) => self.start(*host, record),
            Step::Stop(host) => self.signal(*host, ProcessChange::Stopping, record),
            Step::Kill(host) => self.signal(*host, ProcessChange::Killed, record),
            Step::Pause(host) => self.signal(*host, ProcessChange::Paused, record),
            Step::Resume(host) => self.signal(*host, ProcessChange::Resumed, record),
            Step::Freeze { host, clock } => self.freeze(*host, *clock, record),
            Step::Thaw(host) => self.thaw(*host, record),
            Step::PowerOff(host) => return self.power_off(*host, record),
            Step::PowerOn(host) => self.power_on(*host, record),
            Step::Cut(paths) => self.change(paths, record, |path| path.set_cut(Cut::Everything)),
            Step::CutMulticast(paths) => {
                self.change(paths, record, |path| path.set_cut(Cut::Multicast));
            }
            Step::Heal(paths) => self.change(paths, record, |path| path.set_cut(Cut::Nothing)),
            Step::Lose { paths, count } => self.change(paths, record, |path| path.lose(*count)),
            Step::Conditions { paths, conditions } => {
                self.change(paths, record, |path| path.set_conditions(*conditions));
            }
            Step::LinkDown { host, interface } => {
                return self.plug(*host, interface, false, record);
            }
            Step::LinkUp { host, interface } => return self.plug(*host, interface, true, record),
            Step::Inject(injection) => {
                if let Some(port) = self.net.stranger(injection.segment) {
                    let index = self.injections.len() as u32;
                    self.injections.push(Running::new((**injection).clone(), port));
                    self.net.queue.push(self.net.now, Due::Injection { index });
                }
            }
            Step::Server { host, conduct } => return self.order(*host, *conduct),
            Step::RemoveAddress { .. } | Step::Reload { .. } | Step::FlapVirtualMac { .. } => {
                return self.play_inside(step, record);
            }
            Step::Operator { host, instance, order } => {
                let node = self.hosts[usize::from(host.0)].node.as_ref();
                let said = node.filter(|node| node.runs()).map(|node| node.order(instance, *order));
                return said.unwrap_or(Ok(()));
            }
            // `lacks` keeps scenarios with these from being played.
            Step::ClockDrift { .. }
            | Step::WallClockJump { .. }
            | Step::Late { .. }
            | Step::Tracker { .. }
            | Step::KernelFails { .. }
            | Step::KernelLate { .. }
            | Step::RemoveEntry { .. } => {}
        }
        Ok(())
    }

    /// A real server does this from now on.
    fn order(&mut self, id: HostId, conduct: Conduct) -> Result<(), String> {
        let host = &mut self.hosts[usize::from(id.0)];
        host.silent = conduct == Conduct::Silent;
        // One who is silent does not hear of it.
        let Some(server) = host.real_server.as_mut().filter(|_| !host.silent) else {
            return Ok(());
        };
        server.order(conduct).map_err(|error| format!("{}: {error}", self.names[usize::from(id.0)]))
    }

    fn play_inside(&mut self, step: &Step, record: &mut dyn Recorder) -> Result<(), String> {
        match step {
            Step::RemoveAddress { host, address } => {
                let host = &self.hosts[usize::from(host.0)];
                let held = host.addresses.iter().find(|(_, known)| known == address);
                let cable = held.and_then(|(index, _)| host.cable_of(*index));
                let Some(cable) = cable else { return Ok(()) };
                let len = if address.is_ipv4() { 32 } else { 128 };
                host.namespace.ip(&format!("address del {address}/{len} dev {}\n", cable.interface))
            }
            Step::Reload { host, config, refused } => {
                let read = self.configurations.get(*host, config).cloned();
                let of = &mut self.hosts[usize::from(host.0)];
                let Some(node) = &mut of.node else { return Ok(()) };
                let put = if *refused { node.put_for_now(config) } else { node.put(config) };
                put.map_err(|error: io::Error| error.to_string())?;
                let runs = node.runs();
                if runs {
                    node.reload();
                }
                if *refused {
                    return Ok(());
                }
                of.config = read;
                of.observe();
                if runs {
                    self.tell_configured(*host, record);
                }
                Ok(())
            }
            Step::FlapVirtualMac { host, interface } => {
                // A backup may not have it, and then it cannot flap.
                let namespace = &self.hosts[usize::from(host.0)].namespace;
                let _ = namespace.ip(&format!("link set {interface} up\n"));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Starts the process with the file in place, if there is one and none runs.
    pub(crate) fn start(&mut self, id: HostId, record: &mut dyn Recorder) {
        let host = &mut self.hosts[usize::from(id.0)];
        let Some(node) = host.node.as_mut().filter(|_| host.powered) else { return };
        if node.runs() {
            node.start_wanted = node.stopping;
            return;
        }
        let muted = host.mute();
        self.trouble.extend(muted.err());
        let host = &mut self.hosts[usize::from(id.0)];
        let Some(node) = host.node.as_mut() else { return };
        if let Err(error) = node.start() {
            self.trouble.push(format!(
                "cannot start the process of {}: {error}",
                self.names[usize::from(id.0)]
            ));
            return;
        }
        self.see(id, Seen::Process(ProcessChange::Started), record);
        self.tell_configured(id, record);
    }

    fn tell_configured(&self, id: HostId, record: &mut dyn Recorder) {
        if let Some(config) = &self.hosts[usize::from(id.0)].config {
            self.see(id, Seen::Configured(Arc::clone(config)), record);
        }
    }

    fn signal(&mut self, id: HostId, change: ProcessChange, record: &mut dyn Recorder) {
        let host = &mut self.hosts[usize::from(id.0)];
        let Some(node) = host.node.as_mut().filter(|node| node.runs()) else { return };
        match change {
            ProcessChange::Stopping => node.stop(),
            ProcessChange::Killed => node.kill(),
            ProcessChange::Paused => node.pause(),
            ProcessChange::Resumed => node.resume(),
            ProcessChange::Started | ProcessChange::Stopped => return,
        }
        if change == ProcessChange::Killed {
            self.hear_out(id, record);
        }
        self.see(id, Seen::Process(change), record);
    }

    fn change(&mut self, paths: &Paths, record: &mut dyn Recorder, change: impl FnMut(&mut Path)) {
        self.net.change(paths, record, change);
    }

    fn plug(
        &mut self,
        id: HostId,
        interface: &str,
        up: bool,
        record: &mut dyn Recorder,
    ) -> Result<(), String> {
        let host = &mut self.hosts[usize::from(id.0)];
        let Some(cable) = host.cables.iter_mut().find(|cable| *cable.interface == *interface)
        else {
            return Ok(());
        };
        if std::mem::replace(&mut cable.up, up) == up {
            return Ok(());
        }
        let (segment, end) = (cable.segment, cable.end.clone());
        self.see(id, Seen::Link { segment, up }, record);
        self.tell_owned(id, record);
        self.wires.ip(&format!("link set {end} {}\n", if up { "up" } else { "down" }))
    }

    fn freeze(&mut self, id: HostId, clock: bool, record: &mut dyn Recorder) {
        let host = &mut self.hosts[usize::from(id.0)];
        if !host.is_running() {
            return;
        }
        host.frozen = true;
        if let Some(node) = &host.node {
            node.pause();
        }
        self.see(id, Seen::Machine(MachineChange::Frozen { clock }), record);
        self.tell_owned(id, record);
    }

    /// What came meanwhile happens now, in order, and before any timer.
    fn thaw(&mut self, id: HostId, record: &mut dyn Recorder) {
        let host = &mut self.hosts[usize::from(id.0)];
        if !std::mem::take(&mut host.frozen) {
            return;
        }
        let held = std::mem::take(&mut host.held);
        self.see(id, Seen::Machine(MachineChange::Thawed), record);
        self.tell_owned(id, record);
        for frame in held {
            match frame {
                Held::Left(port, bytes) => self.on_left(port, &bytes, record),
                Held::Arrived(port, packet) => self.on_arrival(port, packet, record),
            }
        }
        if let Some(node) = &self.hosts[usize::from(id.0)].node {
            node.resume();
        }
    }

    fn power_off(&mut self, id: HostId, record: &mut dyn Recorder) -> Result<(), String> {
        let host = &mut self.hosts[usize::from(id.0)];
        if !std::mem::take(&mut host.powered) {
            return Ok(());
        }
        host.frozen = false;
        if let Some(node) = &mut host.node {
            node.kill();
        }
        if let Some(client) = &mut host.client {
            client.forget();
        }
        self.hear_out(id, record);
        let host = &mut self.hosts[usize::from(id.0)];
        for frame in std::mem::take(&mut host.held) {
            if let Held::Arrived(_, packet) = frame {
                self.net.packets.release(packet);
            }
        }
        self.see(id, Seen::Machine(MachineChange::Off), record);
        self.tell_owned(id, record);
        self.hosts[usize::from(id.0)].reboot()
    }

    fn power_on(&mut self, id: HostId, record: &mut dyn Recorder) {
        if std::mem::replace(&mut self.hosts[usize::from(id.0)].powered, true) {
            return;
        }
        self.see(id, Seen::Machine(MachineChange::On), record);
        self.tell_owned(id, record);
        self.start(id, record);
    }
}
