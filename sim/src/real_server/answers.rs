//! What a model real server says, protocol by protocol.

use vipd_engine::config::health::{Check, CheckKind, HttpCheck, UdpCheck};

use super::{Conduct, ModelServer, Said};

/// One connection to it.
#[derive(Debug)]
pub(super) struct Server<'a> {
    check: &'a Check,
    conduct: Conduct,
    model: &'a ModelServer,
    url: usize,
    heard: Vec<u8>,
}

impl<'a> Server<'a> {
    pub(super) fn new(
        check: &'a Check,
        url: u32,
        conduct: Conduct,
        model: &'a ModelServer,
    ) -> Self {
        Self { check, conduct, model, url: url as usize, heard: Vec::new() }
    }

    /// A connection is there.
    pub(super) fn opened(&self) -> Said {
        match (&self.check.kind, self.conduct) {
            (_, Conduct::Closes) => Said { octets: Vec::new(), closes: true },
            (CheckKind::Smtp { .. }, _) if self.is_mute() => Said::default(),
            (CheckKind::Smtp { .. }, Conduct::Lies) => said("421 model.example is closing\r\n"),
            (CheckKind::Smtp { .. }, _) => said("220 model.example ready\r\n"),
            _ => Said::default(),
        }
    }

    /// What came, a part of it or all.
    pub(super) fn heard(&mut self, octets: &[u8]) -> Said {
        if self.is_mute() || self.conduct == Conduct::Closes {
            return Said { closes: self.conduct == Conduct::Closes, ..Said::default() };
        }
        self.heard.extend_from_slice(octets);
        match &self.check.kind {
            CheckKind::Http(http) if self.heard.ends_with(b"\r\n\r\n") => self.page(http),
            CheckKind::Smtp { .. } if self.heard.ends_with(b"\r\n") => {
                let line = std::mem::take(&mut self.heard);
                if line.starts_with(b"QUIT") {
                    Said { closes: true, ..said("221 bye\r\n") }
                } else {
                    said("250 model.example\r\n")
                }
            }
            CheckKind::Dns { .. } => name(octets, self.lies()),
            CheckKind::Udp(udp) => datagram(udp, self.lies()),
            CheckKind::Ping => echo(octets),
            CheckKind::Tcp
            | CheckKind::Http(_)
            | CheckKind::Smtp { .. }
            | CheckKind::Script { .. }
            | CheckKind::File { .. } => Said::default(),
        }
    }

    fn is_mute(&self) -> bool {
        matches!(self.conduct, Conduct::Silent | Conduct::Hangs | Conduct::Resets)
    }

    fn lies(&self) -> bool {
        self.conduct == Conduct::Lies
    }

    /// The page that is wanted, with a status that is; or one that no check wants.
    fn page(&self, http: &HttpCheck) -> Said {
        let path = self.heard.split(|octet| *octet == b' ').nth(1).unwrap_or_default();
        let asked = http.urls.iter().find(|url| url.path.as_bytes() == path);
        let url = asked.or_else(|| http.urls.get(self.url % http.urls.len().max(1)));
        let wanted = url.map_or(&[][..], |url| &url.status);
        let is_wanted =
            |status: u16| wanted.iter().any(|(low, high)| (*low..=*high).contains(&status));
        let status = if self.lies() {
            [500, 404, 999].into_iter().find(|status| !is_wanted(*status)).unwrap_or(500)
        } else {
            wanted.first().map_or(200, |(low, _)| *low)
        };
        let length = self.model.body.len();
        let head = format!("HTTP/1.0 {status} Model\r\nContent-Length: {length}\r\n\r\n");
        let octets = [head.as_bytes(), &self.model.body].concat();
        Said { octets, closes: true }
    }
}

fn said(text: &str) -> Said {
    Said { octets: text.as_bytes().to_vec(), closes: false }
}

/// A name server's answer: the question again, and a record; or SERVFAIL (RFC 1035 section 4).
fn name(query: &[u8], lies: bool) -> Said {
    let Some((header, question)) = query.split_first_chunk::<12>() else { return Said::default() };
    let (code, answers) = if lies { (2, 0) } else { (0, 1) };
    let mut octets = vec![header[0], header[1], 0x81, 0x80 | code, 0, 1, 0, answers, 0, 0, 0, 0];
    octets.extend_from_slice(question);
    if let (false, [.., t0, t1, _, _]) = (lies, question) {
        // The name is that of the question, type and class too; ten seconds; four octets.
        octets.extend([0xc0, 12, *t0, *t1, 0, 1, 0, 0, 0, 10, 0, 4, 192, 0, 2, 1]);
    }
    Said { octets, closes: false }
}

/// What the check wants, or that with every bit turned.
fn datagram(udp: &UdpCheck, lies: bool) -> Said {
    let mut octets: Vec<u8> = udp.reply.iter().map(|(value, _)| *value).collect();
    octets.resize(octets.len().max(usize::from(udp.min_reply)).max(1), 0);
    if lies {
        octets.iter_mut().for_each(|octet| *octet = !*octet);
    }
    Said { octets, closes: false }
}

/// The request as a reply: another type, and with ICMP its checksum.
fn echo(request: &[u8]) -> Said {
    let mut octets = request.to_vec();
    if let [kind, _, high, low, ..] = &mut octets[..] {
        let is_v4 = *kind == 8;
        *kind = if is_v4 { 0 } else { 129 };
        if is_v4 {
            // The type was 8 in the upper octet of a word (RFC 1624).
            let sum = u32::from(u16::from_be_bytes([*high, *low])) + 0x0800;
            let sum = (sum & 0xffff) + (sum >> 16);
            [*high, *low] = (sum as u16).to_be_bytes();
        }
    }
    Said { octets, closes: false }
}
