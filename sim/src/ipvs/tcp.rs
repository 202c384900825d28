//! States of a TCP connection as IPVS follows it, from the packets that pass: those of the client,
//! and with NAT those of the server too.

use std::time::Duration;

use super::{Limits, Segment};

/// The state. Three of the kernel's eleven are left out: nothing gets there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    New,
    Established,
    SynSent,
    SynReceived,
    FinWait,
    TimeWait,
    Closed,
    CloseWait,
}

/// Whose packet it is, and what is seen of the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// The client's, and the server's pass too.
    Client,
    /// The server's.
    Server,
    /// The client's, and nothing else is ever seen (direct routing, tunnels).
    ClientAlone,
}

impl State {
    /// What a packet makes of it.
    pub(super) const fn after(self, segment: Segment, seen: Seen) -> Self {
        use Seen::{Client, ClientAlone, Server};
        use State::{CloseWait, Closed, Established, FinWait, New, SynReceived, SynSent, TimeWait};
        match (segment, seen) {
            (Segment::Datagram, _) => self,
            (Segment::Syn, Client | ClientAlone) => match self {
                Established | SynSent => Established,
                _ => SynReceived,
            },
            (Segment::Syn, Server) => match self {
                Established => Established,
                SynReceived => SynReceived,
                _ => SynSent,
            },
            (Segment::Fin, seen) => match (self, seen) {
                (New, Client | ClientAlone) | (Closed, _) => Closed,
                (Established, Client) => CloseWait,
                (FinWait, Client) => TimeWait,
                (CloseWait, Client | ClientAlone) => CloseWait,
                (Established | FinWait, Server | ClientAlone) => FinWait,
                (SynSent, _) => SynSent,
                (New | SynReceived | TimeWait | CloseWait, _) => TimeWait,
            },
            (Segment::Ack, _) => match self {
                New | Established | SynReceived => Established,
                same => same,
            },
            (Segment::Reset, seen) => match (self, seen) {
                // It may be forged.
                (SynReceived, Client | ClientAlone) => SynReceived,
                (SynSent, Server) => SynSent,
                (TimeWait, Server) => TimeWait,
                _ => Closed,
            },
        }
    }

    /// Whether it counts as an active connection.
    pub(super) const fn is_active(self) -> bool {
        matches!(self, Self::Established | Self::SynSent | Self::SynReceived)
    }

    /// How long it stays without a packet.
    pub(super) const fn limit(self, limits: Limits) -> Duration {
        match self {
            Self::New => Duration::from_secs(2),
            Self::Established => limits.tcp,
            Self::SynReceived | Self::CloseWait => Duration::from_secs(60),
            Self::FinWait => limits.tcp_fin,
            Self::SynSent | Self::TimeWait => Duration::from_secs(120),
            Self::Closed => Duration::from_secs(10),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(seen: Seen, segments: &[Segment]) -> Vec<State> {
        let mut state = State::New;
        let step = |segment: &Segment| {
            state = state.after(*segment, seen);
            state
        };
        segments.iter().map(step).collect()
    }

    #[test]
    fn a_connection_of_which_the_client_alone_is_seen_is_active_until_it_ends() {
        use Segment::{Ack, Fin, Syn};
        use State::{Established, FinWait, SynReceived};
        let states = path(Seen::ClientAlone, &[Syn, Ack, Fin, Ack]);
        assert_eq!(states, [SynReceived, Established, FinWait, FinWait]);
        assert!(SynReceived.is_active() && Established.is_active() && !FinWait.is_active());
    }

    #[test]
    fn a_reset_before_the_handshake_is_over_is_not_believed() {
        let states = path(Seen::Client, &[Segment::Syn, Segment::Reset, Segment::Ack]);
        assert_eq!(states, [State::SynReceived, State::SynReceived, State::Established]);
        assert_eq!(State::Established.after(Segment::Reset, Seen::Client), State::Closed);
    }

    #[test]
    fn with_nat_both_sides_must_end_it() {
        let ended = State::Established.after(Segment::Fin, Seen::Client);
        assert_eq!(ended, State::CloseWait);
        assert_eq!(ended.after(Segment::Fin, Seen::Server), State::TimeWait);
        let other = State::Established.after(Segment::Fin, Seen::Server);
        assert_eq!(other, State::FinWait);
        assert_eq!(other.after(Segment::Fin, Seen::Client), State::TimeWait);
    }
}
