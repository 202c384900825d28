//! Changes of addresses, many by one system call. The kernel makes each of them, and has answered,
//! before the call returns: to go back to the runtime after each would take longer than they do.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc::MSG_DONTWAIT;
use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::sys::Socket;
use rtnetlink::sys::protocols::NETLINK_ROUTE;
use tracing::debug;
use vipd_engine::{CommandId, KernelCommand};

/// Messages of one call, unless a command has more. Their answers fit into the socket's buffer.
const AT_ONCE: usize = 64;
/// After this long adverts have their turn.
const ASK_FOR: Duration = Duration::from_millis(10);
/// More than an answer, which repeats what was asked if that was refused.
const ANSWER: usize = 4096;

/// A command as messages.
pub struct Change {
    pub id: CommandId,
    pub command: KernelCommand,
    pub messages: Vec<NetlinkMessage<RouteNetlinkMessage>>,
    /// The refusal that says that it is so already.
    pub fine: Errno,
}

/// What came of a command.
pub struct Outcome {
    pub id: CommandId,
    pub command: KernelCommand,
    pub result: Result<(), Errno>,
}

/// What waits to be asked for, and a connection of its own.
pub struct Together {
    socket: Socket,
    /// The number of the last message.
    sequence: u32,
    waiting: VecDeque<Change>,
}

impl Together {
    /// Connects.
    ///
    /// # Errors
    /// Those of socket(2).
    pub fn new() -> io::Result<Self> {
        let socket = Socket::new(NETLINK_ROUTE)?;
        Ok(Self { socket, sequence: 0, waiting: VecDeque::new() })
    }

    /// Takes a command in. They are asked for in this order.
    pub fn add(&mut self, change: Change) {
        self.waiting.push_back(change);
    }

    /// Whether something waits.
    pub fn is_busy(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Asks for what waits, for some milliseconds, and says what came of it.
    pub fn ask(&mut self) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        if self.is_busy() {
            let until = Instant::now() + ASK_FOR;
            while self.is_busy() && Instant::now() < until {
                let (changes, count) = self.next_changes();
                let answers = self.exchange(&changes, count);
                outcomes.extend(outcomes_of(changes, &answers));
            }
        }
        outcomes
    }

    /// The commands of the next call, and how many messages they are.
    fn next_changes(&mut self) -> (Vec<Change>, usize) {
        let (mut changes, mut count) = (Vec::new(), 0);
        while let Some(next) = self.waiting.front() {
            count += next.messages.len();
            if count > AT_ONCE && !changes.is_empty() {
                count -= next.messages.len();
                break;
            }
            changes.extend(self.waiting.pop_front());
        }
        (changes, count)
    }

    /// An answer for each message, in their order.
    fn exchange(&mut self, changes: &[Change], count: usize) -> Vec<Result<(), Errno>> {
        let first = self.sequence.wrapping_add(1);
        let mut octets = Vec::new();
        for message in changes.iter().flat_map(|change| &change.messages) {
            self.sequence = self.sequence.wrapping_add(1);
            let mut message = message.clone();
            message.header.sequence_number = self.sequence;
            message.finalize();
            let start = octets.len();
            octets.resize(start + message.buffer_len(), 0);
            message.serialize(&mut octets[start..]);
        }
        // Without an answer nobody knows, which is no success.
        let mut answers = vec![Err(Errno::ENOMSG); count];
        if octets.is_empty() {
            return answers;
        }
        if let Err(error) = self.socket.send(&octets, 0) {
            let errno = error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
            return vec![Err(errno); count];
        }
        let mut left = count;
        let mut answer = Vec::with_capacity(ANSWER);
        while left > 0 {
            answer.clear();
            if let Err(error) = self.socket.recv(&mut answer, MSG_DONTWAIT) {
                debug!("{left} answers of the kernel are missing: {error}");
                break;
            }
            let Some((number, result)) = read(&answer) else { continue };
            // One that is late is to what was asked before.
            if let Some(place) = answers.get_mut(number.wrapping_sub(first) as usize) {
                *place = result;
                left -= 1;
            }
        }
        answers
    }
}

/// The number of what is answered, and the answer.
fn read(octets: &[u8]) -> Option<(u32, Result<(), Errno>)> {
    let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(octets).ok()?;
    let NetlinkPayload::Error(error) = message.payload else { return None };
    let result = error.code.map_or(Ok(()), |code| Err(Errno::from_raw(-code.get())));
    Some((message.header.sequence_number, result))
}

/// A command is refused with the first of its messages that is.
fn outcomes_of(changes: Vec<Change>, answers: &[Result<(), Errno>]) -> Vec<Outcome> {
    let mut answers = answers.iter().copied();
    let outcome = |Change { id, command, messages, fine }| {
        let of_it: Vec<_> = answers.by_ref().take(messages.len()).collect();
        let refused = of_it.into_iter().find(|answer| answer.is_err_and(|errno| errno != fine));
        Outcome { id, command, result: refused.unwrap_or(Ok(())) }
    };
    changes.into_iter().map(outcome).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtnetlink::packet_core::{NLM_F_ACK, NLM_F_REQUEST};
    use rtnetlink::packet_route::address::AddressMessage;
    use vipd_engine::InstanceId;

    fn change(number: u64, messages: usize) -> Change {
        let id = CommandId { instance: InstanceId(0), number };
        let command = KernelCommand::RemoveFilter("10.0.0.1".parse().expect("an address"));
        // No interface has this index: it is refused, whoever asks.
        let mut message =
            NetlinkMessage::from(RouteNetlinkMessage::DelAddress(AddressMessage::default()));
        message.header.flags = NLM_F_REQUEST | NLM_F_ACK;
        Change { id, command, messages: vec![message; messages], fine: Errno::EADDRNOTAVAIL }
    }

    #[test]
    fn a_call_asks_for_whole_commands_and_for_one_that_is_too_long_alone() {
        let mut together = Together::new().expect("a socket");
        for (number, messages) in [(0, AT_ONCE - 1), (1, 2), (2, AT_ONCE + 1), (3, 0)] {
            together.add(change(number, messages));
        }
        let mut calls = Vec::new();
        while together.is_busy() {
            let (changes, count) = together.next_changes();
            let numbers: Vec<_> = changes.iter().map(|change| change.id.number).collect();
            calls.push((numbers, count));
        }
        let expected = [(vec![0], AT_ONCE - 1), (vec![1], 2), (vec![2], AT_ONCE + 1), (vec![3], 0)];
        assert_eq!(calls, expected);
    }

    #[test]
    fn a_command_is_refused_for_its_own_messages_alone_and_not_for_what_is_fine() {
        let changes = vec![change(0, 1), change(1, 2), change(2, 0), change(3, 2)];
        let fine = Err(Errno::EADDRNOTAVAIL);
        let answers = [Ok(()), fine, Err(Errno::EPERM), Ok(()), fine];
        let outcomes = outcomes_of(changes, &answers);
        let results: Vec<_> =
            outcomes.iter().map(|outcome| (outcome.id.number, outcome.result)).collect();
        assert_eq!(results, [(0, Ok(())), (1, Err(Errno::EPERM)), (2, Ok(())), (3, Ok(()))]);
    }

    #[test]
    fn the_kernel_answers_each_message_of_a_call_before_the_call_returns() {
        let mut together = Together::new().expect("a socket");
        for number in 0..100 {
            together.add(change(number, 1));
        }
        let outcomes = together.ask();
        let numbers: Vec<_> = outcomes.iter().map(|outcome| outcome.id.number).collect();
        assert_eq!(numbers, Vec::from_iter(0..100));
        let answered = |outcome: &Outcome| {
            outcome.result.is_err_and(|errno| errno != Errno::ENOMSG && errno != Errno::EIO)
        };
        assert!(outcomes.iter().all(answered), "{:?}", outcomes[0].result);
        assert!(!together.is_busy());
    }
}
