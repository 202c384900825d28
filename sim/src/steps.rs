//! What each step of a scenario does to the simulated world.

use vipd_engine::TrackerName;
use vipd_scenarios::record::Recorder;
use vipd_scenarios::scenario::Step;

use crate::host::Host;
use crate::inject::Running;
use crate::link::Cut;
use crate::network::Due;
use crate::world::Simulation;

impl Simulation {
    /// Does a step now. A step that changes nothing (a second start, an interface that is not
    /// there) is no error.
    pub(crate) fn play(&mut self, step: &Step, record: &mut dyn Recorder) {
        match step {
            Step::Start(host) => self.with(*host, record, Host::start),
            Step::Stop(host) => self.with(*host, record, Host::stop),
            Step::Kill(host) => self.with(*host, record, Host::kill),
            Step::Pause(host) => self.with(*host, record, Host::pause),
            Step::Resume(host) => self.with(*host, record, Host::resume),
            Step::Freeze { host, clock } => {
                self.with(*host, record, |host, out| host.freeze(*clock, out));
            }
            Step::Thaw(host) => self.with(*host, record, Host::thaw),
            Step::PowerOff(host) => self.with(*host, record, Host::power_off),
            Step::PowerOn(host) => self.with(*host, record, Host::power_on),
            Step::Cut(paths) => {
                self.net.change(paths, record, |path| path.set_cut(Cut::Everything));
            }
            Step::CutMulticast(paths) => {
                self.net.change(paths, record, |path| path.set_cut(Cut::Multicast));
            }
            Step::Heal(paths) => {
                self.net.change(paths, record, |path| path.set_cut(Cut::Nothing));
            }
            Step::Lose { paths, count } => {
                self.net.change(paths, record, |path| path.lose(*count));
            }
            Step::Conditions { paths, conditions } => {
                self.net.change(paths, record, |path| path.set_conditions(*conditions));
            }
            Step::LinkDown { host, interface } => self.with(*host, record, |host, out| {
                host.change_kernel(out, |kernel, changes| {
                    kernel.set_carrier(interface, false, changes);
                });
            }),
            Step::LinkUp { host, interface } => self.with(*host, record, |host, out| {
                host.change_kernel(out, |kernel, changes| {
                    kernel.set_carrier(interface, true, changes);
                });
            }),
            Step::RemoveAddress { host, address } => self.with(*host, record, |host, out| {
                host.change_kernel(out, |kernel, changes| {
                    kernel.remove_address(*address, changes);
                });
            }),
            Step::RemoveEntry { host, entry } => self.with(*host, record, |host, out| {
                host.change_kernel(out, |kernel, changes| kernel.remove_entry(entry, changes));
            }),
            Step::Server { host, conduct } => self.servers.set(self.net.now, *host, *conduct),
            Step::Reload { .. }
            | Step::ClockDrift { .. }
            | Step::WallClockJump { .. }
            | Step::Late { .. }
            | Step::FlapVirtualMac { .. }
            | Step::Tracker { .. }
            | Step::Operator { .. }
            | Step::KernelFails { .. }
            | Step::KernelLate { .. }
            | Step::Inject(_) => self.play_inside(step, record),
        }
    }

    /// Steps that reach into one host, and adverts of nobody's.
    fn play_inside(&mut self, step: &Step, record: &mut dyn Recorder) {
        match step {
            // A process that refuses a file goes on as before.
            Step::Reload { host, config, .. } => {
                if let Some(config) = self.configurations.get(*host, config).cloned() {
                    self.with(*host, record, |host, out| host.reload(&config, out));
                }
            }
            Step::ClockDrift { host, ppm } => {
                self.with(*host, record, |host, out| host.set_clock_rate(*ppm, out));
            }
            Step::Late { host, by } => {
                self.with(*host, record, |host, out| host.set_lateness(*by, out));
            }
            Step::FlapVirtualMac { host, interface } => self.with(*host, record, |host, out| {
                host.change_kernel(out, |kernel, changes| kernel.switch_on(interface, changes));
            }),
            Step::Tracker { host, name, value } => self.with(*host, record, |host, out| {
                host.track(TrackerName::new(name), *value, out);
            }),
            Step::Operator { host, instance, order } => self.with(*host, record, |host, out| {
                host.order(instance, *order, out);
            }),
            Step::KernelFails { host, count } => {
                self.with(*host, record, |host, _| host.kernel.fail_next(*count));
            }
            Step::KernelLate { host, by } => {
                self.with(*host, record, |host, _| host.kernel.set_delay(*by));
            }
            Step::Inject(injection) => {
                if let Some(port) = self.net.stranger(injection.segment) {
                    let index = self.injections.len() as u32;
                    self.injections.push(Running::new((**injection).clone(), port));
                    self.net.queue.push(self.net.now, Due::Injection { index });
                }
            }
            // Timers read a monotonic clock; nothing reads the wall clock.
            Step::WallClockJump { .. } => {}
            _ => {}
        }
    }
}
