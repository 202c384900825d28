//! A mail out of alerts: head and body (RFC 5322). One alert is one of keepalived's mails, several
//! are a list.

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use vipd_config::mail::{Mail, address};

use super::dialogue::Letter;
use super::queue::{Alert, Parcel};

/// Characters of a subject.
const SUBJECT_MAX: usize = 200;
/// Octets in one encoded word, three characters each (RFC 2047 section 2: 75 at most).
const ENCODED_MAX: usize = 18;
const DAY: u64 = 24 * 3600;
const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The mail that has these alerts in it. Of the same alerts it is the same mail again, by its id.
#[must_use]
pub fn letter(mail: &Mail, host: &str, parcel: &Parcel, now: SystemTime) -> Letter {
    let from = mail.from.clone().unwrap_or_else(|| format!("keepalived@{host}"));
    let all: Vec<_> = mail.to.iter().filter_map(|one| address(one)).collect();
    let to = match &parcel.to {
        // Those who are not in the file any more get nothing any more.
        Some(some) => some.iter().filter(|one| all.contains(&one.as_str())).cloned().collect(),
        None => all.iter().map(ToString::to_string).collect(),
    };
    let name = mail.router_id.as_deref().unwrap_or(host);
    let (at, subject, body) = match parcel.alerts.as_slice() {
        [alert] if parcel.lost == 0 => (alert.at, alert.subject.clone(), alert.body.clone()),
        alerts => list(alerts, parcel.lost, now),
    };
    let (first, last) = (seconds(&parcel.alerts, 0), parcel.alerts.len());
    let mut text = String::new();
    for line in [
        format!("Date: {}", date(at)),
        format!("From: {}", words(&from)),
        format!("Subject: {}", words(&clean(&format!("[{name}] {subject}"), SUBJECT_MAX))),
        "X-Mailer: vipd".to_string(),
        format!("To: {}", mail.to.iter().map(|one| words(one)).collect::<Vec<_>>().join(",\n ")),
        format!("Message-ID: <{first:x}.{last}.{:x}@{host}>", parcel.lost),
        "Auto-Submitted: auto-generated".to_string(),
        "MIME-Version: 1.0".to_string(),
        "Content-Type: text/plain; charset=utf-8".to_string(),
        "Content-Transfer-Encoding: 8bit".to_string(),
        String::new(),
        body,
    ] {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{line}");
    }
    let from = address(&from).unwrap_or_default().to_string();
    Letter { from, to, text }
}

/// Several alerts, with the time of each.
fn list(alerts: &[Alert], lost: u64, now: SystemTime) -> (SystemTime, String, String) {
    let mut body = String::new();
    if lost > 0 {
        let _ = writeln!(body, "{lost} alerts before these were lost; the log has them.\n");
    }
    for alert in alerts {
        let _ = writeln!(body, "{}  {}", date(alert.at), clean(&alert.subject, SUBJECT_MAX));
    }
    let count = alerts.len();
    let mut subject = format!("{count} alert{}", if count == 1 { "" } else { "s" });
    if lost > 0 {
        let _ = write!(subject, ", {lost} lost");
    }
    (now, subject, body.trim_end().to_string())
}

/// Nanoseconds since 1970 of one of them.
fn seconds(alerts: &[Alert], number: usize) -> u128 {
    let at =
        alerts.get(number).map(|alert| alert.at).and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    at.unwrap_or_default().as_nanos()
}

/// One line, not too long, with nothing that ends it.
fn clean(text: &str, most: usize) -> String {
    text.chars().take(most).map(|one| if one.is_control() { ' ' } else { one }).collect()
}

/// Text for a head: what is not ASCII as encoded words (RFC 2047).
fn words(text: &str) -> String {
    let text = clean(text, usize::MAX);
    if text.is_ascii() {
        return text;
    }
    // `Name <address>`: the address is ASCII, and stays as it is.
    if let Some((name, rest)) = text.rsplit_once('<').filter(|(_, rest)| rest.is_ascii()) {
        return format!("{} <{rest}", words(name.trim_end()));
    }
    let mut encoded: Vec<String> = Vec::new();
    let mut octets = 0;
    for one in text.chars() {
        let mut buffer = [0; 4];
        let one = one.encode_utf8(&mut buffer).as_bytes();
        if encoded.is_empty() || octets + one.len() > ENCODED_MAX {
            encoded.push(String::new());
            octets = 0;
        }
        octets += one.len();
        if let Some(word) = encoded.last_mut() {
            for octet in one {
                let _ = write!(word, "={octet:02X}");
            }
        }
    }
    let encoded = encoded.iter().map(|word| format!("=?utf-8?Q?{word}?="));
    encoded.collect::<Vec<_>>().join("\n ")
}

/// A time of RFC 5322 section 3.3, in UTC.
#[must_use]
pub fn date(at: SystemTime) -> String {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (days, rest) = (since / DAY, since % DAY);
    let weekday = DAYS[(days % 7) as usize];
    let (year, month, day) = civil(days);
    let month = MONTHS[month];
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{weekday}, {day} {month} {year} {hour:02}:{minute:02}:{second:02} +0000")
}

/// Year, number of the month, day of the month.
fn civil(mut days: u64) -> (u64, usize, u64) {
    let mut year = 1970;
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    loop {
        let length = if is_leap(year) { 366 } else { 365 };
        if days < length {
            break;
        }
        days -= length;
        year += 1;
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let mut month = 0;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    (year, month, days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::queue::{Next, Queue};
    use std::time::Duration;
    use tokio::time::Instant;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn mail() -> Mail {
        Mail {
            router_id: Some("lb1".into()),
            to: vec!["a@x.example".into(), "Ops <b@x.example>".into()],
            ..Mail::default()
        }
    }

    /// As the queue would hand it over.
    fn parcel(subjects: &[&str], lost: u64) -> Parcel {
        let now = Instant::now();
        let mut queue = Queue::default();
        let alert = |subject: &str| Alert {
            at: at(1_700_000_000),
            since: now,
            subject: subject.into(),
            body: "=> b <=".into(),
        };
        queue.add(alert(subjects[0]));
        let Next::Mail(mut parcel) = queue.next(now) else { panic!("it is due") };
        parcel.alerts = subjects.iter().map(|subject| alert(subject)).collect();
        parcel.lost = lost;
        parcel
    }

    #[test]
    fn one_alert_is_a_mail_of_keepalived() {
        let letter = letter(&mail(), "lb1.example", &parcel(&["VRRP x"], 0), at(1_700_000_099));
        assert_eq!(
            letter.text,
            "Date: Tue, 14 Nov 2023 22:13:20 +0000\n\
             From: keepalived@lb1.example\n\
             Subject: [lb1] VRRP x\n\
             X-Mailer: vipd\n\
             To: a@x.example,\n Ops <b@x.example>\n\
             Message-ID: <17979cfe362a0000.1.0@lb1.example>\n\
             Auto-Submitted: auto-generated\n\
             MIME-Version: 1.0\n\
             Content-Type: text/plain; charset=utf-8\n\
             Content-Transfer-Encoding: 8bit\n\
             \n\
             => b <=\n"
        );
        assert_eq!(letter.from, "keepalived@lb1.example");
        assert_eq!(letter.to, ["a@x.example", "b@x.example"]);
    }

    #[test]
    fn several_are_a_list_with_the_time_of_each_and_how_many_were_lost() {
        let letter = letter(&mail(), "h", &parcel(&["one", "two"], 7), at(1_700_000_099));
        let (head, body) = letter.text.split_once("\n\n").expect("a body");
        assert!(head.contains("Subject: [lb1] 2 alerts, 7 lost\n"), "{head}");
        assert!(head.starts_with("Date: Tue, 14 Nov 2023 22:14:59 +0000\n"), "{head}");
        assert_eq!(
            body,
            "7 alerts before these were lost; the log has them.\n\n\
             Tue, 14 Nov 2023 22:13:20 +0000  one\nTue, 14 Nov 2023 22:13:20 +0000  two\n"
        );
    }

    #[test]
    fn no_name_ends_a_line_of_the_head_and_each_is_ascii() {
        let subject = format!("a\r\nBcc: everybody@x.example {}", "\u{e4}".repeat(60));
        let mail = Mail { from: Some("J\u{fc}rgen <j@x.example>".into()), ..mail() };
        let letter = letter(&mail, "h", &parcel(&[&subject], 0), at(0));
        let head = letter.text.split_once("\n\n").expect("a body").0;
        assert!(head.is_ascii() && !head.contains("\nBcc"), "{head}");
        assert!(head.lines().all(|line| line.len() <= 78), "{head}");
        assert!(head.contains("From: =?utf-8?Q?=4A=C3=BC=72=67=65=6E?= <j@x.example>"), "{head}");
        assert_eq!(letter.from, "j@x.example");
    }

    #[test]
    fn days_are_counted_as_the_calendar_does() {
        assert_eq!(date(at(0)), "Thu, 1 Jan 1970 00:00:00 +0000");
        assert_eq!(date(at(951_782_400)), "Tue, 29 Feb 2000 00:00:00 +0000");
        assert_eq!(date(at(4_107_542_399)), "Sun, 28 Feb 2100 23:59:59 +0000");
        assert_eq!(date(at(4_107_542_400)), "Mon, 1 Mar 2100 00:00:00 +0000");
    }

    #[test]
    fn who_is_out_of_the_file_gets_nothing_any_more() {
        let mut parcel = parcel(&["one"], 0);
        parcel.to = Some(vec!["b@x.example".into(), "gone@x.example".into()]);
        assert_eq!(letter(&mail(), "h", &parcel, at(0)).to, ["b@x.example"]);
    }
}
