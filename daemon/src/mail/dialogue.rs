//! What is said to a mail server (RFC 5321): octets in, octets out. No socket, no clock.
//!
//! It ends with a word on each receiver: got it, never will, or may get it later. What a server
//! can make it hold is one line of [`REPLY_LINE_MAX`] octets.

use std::fmt;

use vipd_checks::reply_line;

/// Most octets of a line of a reply: twice what RFC 5321 section 4.5.3.1.5 allows.
pub const REPLY_LINE_MAX: usize = 1024;
/// Most lines of a reply.
pub const REPLY_LINES_MAX: usize = 128;
/// Characters of a reply that are told to people.
const EXCERPT_MAX: usize = 100;

const CLOSING: u16 = 421;

/// A mail and its envelope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Letter {
    /// The address of the sender.
    pub from: String,
    /// Those of the receivers, at least one.
    pub to: Vec<String>,
    /// Head and body; lines end with LF.
    pub text: String,
}

/// What became of it, by receiver; why, in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The server has it for them.
    pub taken: Vec<String>,
    /// It will never take it (status 5xx).
    pub refused: Vec<(String, String)>,
    /// It did not take it now.
    pub later: Vec<(String, String)>,
}

impl Outcome {
    /// Nobody got it, and everybody may later.
    #[must_use]
    pub fn later(to: &[String], why: &str) -> Self {
        let later = to.iter().map(|one| (one.clone(), why.to_string())).collect();
        Self { later, ..Self::default() }
    }
}

/// How it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// More is to be heard.
    Continue,
    /// The connection is to be closed.
    Over,
}

/// What was asked last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Nothing: the server speaks first.
    Greeting,
    /// HELO.
    Helo,
    /// MAIL FROM.
    From,
    /// RCPT TO, of the receiver with this number.
    To(usize),
    /// DATA.
    Data,
    /// The mail itself.
    Text,
    /// QUIT: what is to be known is known.
    Quit,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Greeting => "the greeting",
            Self::Helo => "the reply to HELO",
            Self::From => "the reply to MAIL FROM",
            Self::To(_) => "the reply to RCPT TO",
            Self::Data => "the reply to DATA",
            Self::Text => "the reply to the mail",
            Self::Quit => "the reply to QUIT",
        })
    }
}

/// One mail, one connection.
#[derive(Debug)]
pub struct Dialogue {
    helo_name: String,
    letter: Letter,
    stage: Stage,
    line: Vec<u8>,
    /// Status of the reply's first line, and how many lines came.
    reply: Option<(u16, usize)>,
    /// Receivers that the server accepted; they have nothing yet.
    accepted: Vec<String>,
    outcome: Outcome,
}

impl Dialogue {
    /// Connected, nothing heard. Neither the name nor an address may have an octet that does not
    /// belong into a command: that is for the configuration to check.
    #[must_use]
    pub fn new(helo_name: &str, letter: Letter) -> Self {
        Self {
            helo_name: helo_name.to_string(),
            letter,
            stage: Stage::Greeting,
            line: Vec::new(),
            reply: None,
            accepted: Vec::new(),
            outcome: Outcome::default(),
        }
    }

    /// Octets came. What is to be sent for them is appended.
    pub fn heard(&mut self, octets: &[u8], out: &mut Vec<u8>) -> Step {
        for (at, octet) in octets.iter().enumerate() {
            if *octet != b'\n' {
                if self.line.len() == REPLY_LINE_MAX {
                    return self.breaks_off(&format!("a line of {} is too long", self.stage));
                }
                self.line.push(*octet);
                continue;
            }
            let line = std::mem::take(&mut self.line);
            let line = line.strip_suffix(b"\r").unwrap_or(&line);
            match self.on_line(line, out) {
                Ok(None) => {}
                // An answer before its question is an answer to nothing.
                Ok(Some(Step::Continue)) if at + 1 < octets.len() => {
                    return self.breaks_off("the server answers what it was not asked yet");
                }
                Ok(Some(step)) => return step,
                Err(words) => return self.breaks_off(&words),
            }
        }
        Step::Continue
    }

    /// The connection is over, and not because we ended it.
    pub fn breaks_off(&mut self, why: &str) -> Step {
        if self.stage != Stage::Quit {
            self.nobody(why, false);
            self.stage = Stage::Quit;
        }
        Step::Over
    }

    /// What is waited for.
    #[must_use]
    pub const fn stage(&self) -> Stage {
        self.stage
    }

    /// Octets of the server that are held.
    #[must_use]
    pub const fn held(&self) -> usize {
        self.line.len()
    }

    /// What became of the mail.
    #[must_use]
    pub fn outcome(self) -> Outcome {
        self.outcome
    }

    /// A line of a reply; a step if it was the last one.
    fn on_line(&mut self, line: &[u8], out: &mut Vec<u8>) -> Result<Option<Step>, String> {
        let Some((status, more)) = reply_line(line) else {
            return Err(format!("{} is not SMTP: \"{}\"", self.stage, excerpt(line)));
        };
        let (first, lines) = self.reply.unwrap_or((status, 0));
        if status != first {
            return Err(format!("{} has the status {first} and {status}", self.stage));
        }
        if more {
            if lines + 1 == REPLY_LINES_MAX {
                return Err(format!("{} has more than {REPLY_LINES_MAX} lines", self.stage));
            }
            self.reply = Some((first, lines + 1));
            return Ok(None);
        }
        self.reply = None;
        Ok(Some(self.on_reply(status, &excerpt(line), out)))
    }

    fn on_reply(&mut self, status: u16, words: &str, out: &mut Vec<u8>) -> Step {
        if self.stage == Stage::Quit {
            return Step::Over;
        }
        let why = format!("{} is \"{words}\"", self.stage);
        if status == CLOSING {
            return self.breaks_off(&why);
        }
        let never = status / 100 == 5;
        match (self.stage, status) {
            (Stage::Greeting, 220) => self.asks(Stage::Helo, out),
            (Stage::Helo, 250) => self.asks(Stage::From, out),
            // That is about us, not about this mail: another day it may be served.
            (Stage::Greeting | Stage::Helo, _) => self.gives_up(&why, false, out),
            (Stage::From, 250) => self.asks(Stage::To(0), out),
            (Stage::To(number), _) => {
                let receiver = self.letter.to[number].clone();
                match status {
                    200..300 => self.accepted.push(receiver),
                    _ if never => self.outcome.refused.push((receiver, why)),
                    _ => self.outcome.later.push((receiver, why)),
                }
                if number + 1 < self.letter.to.len() {
                    self.asks(Stage::To(number + 1), out);
                } else if self.accepted.is_empty() {
                    self.asks(Stage::Quit, out);
                } else {
                    self.asks(Stage::Data, out);
                }
            }
            (Stage::Data, 354) => self.asks(Stage::Text, out),
            (Stage::Text, 200..300) => {
                self.outcome.taken = std::mem::take(&mut self.accepted);
                self.asks(Stage::Quit, out);
            }
            (Stage::From | Stage::Data | Stage::Text, _) => self.gives_up(&why, never, out),
            (Stage::Quit, _) => return Step::Over,
        }
        Step::Continue
    }

    fn asks(&mut self, stage: Stage, out: &mut Vec<u8>) {
        self.stage = stage;
        let command = match stage {
            Stage::Greeting => return,
            Stage::Helo => format!("HELO {}", self.helo_name),
            Stage::From => format!("MAIL FROM:<{}>", self.letter.from),
            Stage::To(number) => format!("RCPT TO:<{}>", self.letter.to[number]),
            Stage::Data => "DATA".to_string(),
            Stage::Text => return stuff(&self.letter.text, out),
            Stage::Quit => "QUIT".to_string(),
        };
        out.extend_from_slice(command.as_bytes());
        out.extend_from_slice(b"\r\n");
    }

    fn gives_up(&mut self, why: &str, never: bool, out: &mut Vec<u8>) {
        self.nobody(why, never);
        self.asks(Stage::Quit, out);
    }

    /// Nobody gets it but those of whom something else was said.
    fn nobody(&mut self, why: &str, never: bool) {
        let asked = match self.stage {
            Stage::Greeting | Stage::Helo | Stage::From => 0,
            Stage::To(number) => number,
            Stage::Data | Stage::Text | Stage::Quit => self.letter.to.len(),
        };
        let without = self.accepted.drain(..).chain(self.letter.to[asked..].iter().cloned());
        let without = without.map(|receiver| (receiver, why.to_string()));
        if never {
            self.outcome.refused.extend(without);
        } else {
            self.outcome.later.extend(without);
        }
    }
}

/// The mail as it goes over the wire: CR LF, a dot more in front of a dot, a dot alone at the end
/// (RFC 5321 section 4.5.2).
fn stuff(text: &str, out: &mut Vec<u8>) {
    for line in text.lines() {
        if line.starts_with('.') {
            out.push(b'.');
        }
        out.extend_from_slice(line.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b".\r\n");
}

/// A line as people may see it: a terminal is not to be told anything.
fn excerpt(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let plain = |one: char| if one.is_control() { '?' } else { one };
    text.chars().take(EXCERPT_MAX).map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOOD: [&str; 8] =
        ["220 hi", "250 hi", "250 ok", "250 ok", "250 ok", "354 go", "250 queued", "221 bye"];

    fn letter() -> Letter {
        let to = ["a@x.example", "b@x.example"].map(str::to_string).to_vec();
        Letter { from: "vipd@x.example".into(), to, text: "Subject: s\n\n.dot\nend\n".into() }
    }

    /// The commands that these replies cause, and the outcome.
    fn talk(replies: &[&str]) -> (Vec<String>, Outcome, Step) {
        let mut dialogue = Dialogue::new("me.example", letter());
        let (mut said, mut step) = (Vec::new(), Step::Continue);
        for reply in replies {
            assert_eq!(step, Step::Continue, "nothing is heard after the end");
            let mut out = Vec::new();
            step = dialogue.heard(format!("{reply}\r\n").as_bytes(), &mut out);
            said.push(String::from_utf8(out).expect("ASCII"));
        }
        if step == Step::Continue {
            dialogue.breaks_off("closed");
        }
        (said, dialogue.outcome(), step)
    }

    fn with(number: usize, reply: &'static str) -> Vec<&'static str> {
        let mut replies = GOOD.to_vec();
        replies[number] = reply;
        replies
    }

    fn names<T>(list: &[(String, T)]) -> Vec<&str> {
        list.iter().map(|(name, _)| name.as_str()).collect()
    }

    #[test]
    fn a_mail_is_a_command_for_each_receiver_and_a_dot_of_its_own_gets_another() {
        let (said, outcome, step) = talk(&GOOD);
        assert_eq!(
            said.concat(),
            "HELO me.example\r\nMAIL FROM:<vipd@x.example>\r\nRCPT TO:<a@x.example>\r\n\
             RCPT TO:<b@x.example>\r\nDATA\r\nSubject: s\r\n\r\n..dot\r\nend\r\n.\r\nQUIT\r\n"
        );
        assert_eq!((outcome.taken, step), (letter().to, Step::Over));
        assert!(outcome.refused.is_empty() && outcome.later.is_empty());
    }

    #[test]
    fn a_reply_of_many_lines_is_one_however_it_is_cut() {
        let mut dialogue = Dialogue::new("me.example", letter());
        let mut out = Vec::new();
        for octet in b"220-one\r\n220-two\r\n220 three\r\n" {
            assert!(out.is_empty(), "the reply is not over");
            assert_eq!(dialogue.heard(&[*octet], &mut out), Step::Continue);
        }
        assert_eq!(out, b"HELO me.example\r\n");
    }

    #[test]
    fn of_several_receivers_one_that_is_refused_takes_nothing_from_the_others() {
        let (_, outcome, _) = talk(&with(3, "550 unknown"));
        assert_eq!(
            (outcome.taken, names(&outcome.refused)),
            (vec!["b@x.example".into()], { vec!["a@x.example"] })
        );
        assert_eq!(outcome.refused[0].1, "the reply to RCPT TO is \"550 unknown\"");
        let (_, outcome, _) = talk(&with(4, "450 greylisted"));
        assert_eq!(outcome.taken, ["a@x.example"]);
        assert_eq!(names(&outcome.later), ["b@x.example"]);
    }

    #[test]
    fn if_none_is_accepted_no_mail_follows() {
        let replies = ["220 hi", "250 hi", "250 ok", "550 no", "450 later", "221 bye"];
        let (said, outcome, step) = talk(&replies);
        assert_eq!((said[4].as_str(), step), ("QUIT\r\n", Step::Over));
        assert_eq!(names(&outcome.refused), ["a@x.example"]);
        assert_eq!(names(&outcome.later), ["b@x.example"]);
    }

    #[test]
    fn a_status_of_4xx_is_for_now_and_5xx_for_good_but_not_before_the_mail_was_named() {
        for (number, replies) in [(2, 3), (5, 6), (6, 7)] {
            let (said, outcome, _) = talk(&with(number, "451 later")[..replies]);
            assert_eq!(said.last().expect("a reply"), "QUIT\r\n");
            assert_eq!((outcome.later.len(), outcome.refused.len()), (2, 0), "reply {number}");
            let (_, outcome, _) = talk(&with(number, "554 never")[..replies]);
            assert_eq!((outcome.later.len(), outcome.refused.len()), (0, 2), "reply {number}");
        }
        for number in [0, 1] {
            let (_, outcome, _) = talk(&with(number, "554 go away")[..=number]);
            assert_eq!((outcome.later.len(), outcome.refused.len()), (2, 0), "reply {number}");
        }
        let (_, outcome, step) = talk(&with(4, "421 closing")[..5]);
        assert_eq!((outcome.later.len(), step), (2, Step::Over), "no good-bye to who is gone");
    }

    #[test]
    fn wherever_the_server_goes_away_each_receiver_is_accounted_for_once() {
        for heard in 0..GOOD.len() {
            let (_, outcome, _) = talk(&GOOD[..heard]);
            let taken = if heard >= 7 { 2 } else { 0 };
            let counted = (outcome.taken.len(), outcome.later.len(), outcome.refused.len());
            assert_eq!(counted, (taken, 2 - taken, 0), "after {heard} replies");
        }
    }

    #[test]
    fn a_hostile_server_is_held_to_its_limits_and_the_mail_waits() {
        let mut many = "250-more\r\n".repeat(REPLY_LINES_MAX);
        many.insert_str(0, "220 hi\r\n");
        for (hostile, words) in [
            ("x".repeat(1 << 20), "a line of the greeting is too long"),
            ("220-a\r\n".repeat(1 << 12), "the greeting has more than 128 lines"),
            ("SSH-2.0-x\r\n".into(), "the greeting is not SMTP: \"SSH-2.0-x\""),
            ("220-a\r\n250 b\r\n".into(), "the greeting has the status 220 and 250"),
            (many, "the server answers what it was not asked yet"),
        ] {
            let mut dialogue = Dialogue::new("me.example", letter());
            let step = dialogue.heard(hostile.as_bytes(), &mut Vec::new());
            assert!(dialogue.held() <= REPLY_LINE_MAX);
            let outcome = dialogue.outcome();
            assert_eq!((step, outcome.later.len()), (Step::Over, 2));
            assert_eq!(outcome.later[0].1, words);
        }
        assert_eq!(excerpt(b"550 \x1b[2Jgone"), "550 ?[2Jgone");
    }
    proptest! {
        /// Replies of any status and any octets between them, cut anywhere.
        #[test]
        fn whatever_a_server_says_each_receiver_is_accounted_for_once(
            says in proptest::collection::vec(
                prop_oneof![
                    8 => (0..GOOD.len()).prop_map(|number| format!("{}\r\n", GOOD[number])),
                    3 => (200..600_u16).prop_map(|status| format!("{status} words\r\n")),
                    1 => "\\PC{0,40}",
                ],
                0..16,
            ),
            follows in any::<bool>(),
        ) {
            let mut dialogue = Dialogue::new("me.example", letter());
            let replies = GOOD.iter().map(|reply| format!("{reply}\r\n")).take(4);
            let replies: Vec<_> = replies.filter(|_| follows).chain(says).collect();
            for octets in replies {
                prop_assert!(dialogue.held() <= REPLY_LINE_MAX);
                if dialogue.heard(octets.as_bytes(), &mut Vec::new()) == Step::Over {
                    break;
                }
            }
            dialogue.breaks_off("closed");
            let Outcome { taken, refused, later } = dialogue.outcome();
            let others = refused.into_iter().chain(later).map(|(receiver, _)| receiver);
            let mut all: Vec<_> = taken.into_iter().chain(others).collect();
            all.sort();
            prop_assert_eq!(all, letter().to);
        }
    }
}
