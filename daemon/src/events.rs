//! What happened: the last events and those that come, for whoever follows them on the control
//! socket. Nobody who follows too slowly holds up anything: he is told how many he missed.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::Semaphore;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::time::timeout;
use vipd_engine::{Event, Timestamp};

/// Events that are kept for those who come later.
pub const KEPT: usize = 128;
/// Who follows at a time, at most.
pub const MOST_FOLLOWERS: usize = 4;
/// How long the end of the process waits for those who follow.
const GOODBYE: Duration = Duration::from_millis(200);

/// An event, or the end. A line is made of it where somebody follows: at a start there may be
/// 100,000 of them.
type Told = Option<Kept>;

/// When it was, and what.
type Kept = Arc<(Timestamp, Event)>;

/// Where events are told and followed. A clone is the same.
#[derive(Clone, Debug)]
pub struct Events {
    kept: Arc<Mutex<VecDeque<Kept>>>,
    told: broadcast::Sender<Told>,
    places: Arc<Semaphore>,
}

impl Events {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            kept: Arc::default(),
            told: broadcast::Sender::new(KEPT),
            places: Arc::new(Semaphore::new(MOST_FOLLOWERS)),
        }
    }

    /// Tells an event, which was at this time of the boot clock.
    pub fn tell(&self, at: Timestamp, event: &Event) {
        let told = Arc::new((at, event.clone()));
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(Arc::clone(&told));
        // Nobody may follow.
        let _ = self.told.send(Some(told));
    }

    /// Writes what is kept and what comes, until the other side goes or everything ends.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn follow(
        &self,
        mut input: impl AsyncRead + Unpin,
        mut output: impl AsyncWrite + Unpin,
    ) -> io::Result<()> {
        let Ok(_place) = self.places.try_acquire() else {
            let full = json!({ "error": format!("{MOST_FOLLOWERS} follow already") });
            return output.write_all(format!("{full}\n").as_bytes()).await;
        };
        let (kept, mut coming) = {
            // Under one lock: no event is in both, none in neither.
            let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            (kept.clone(), self.told.subscribe())
        };
        for told in kept {
            output.write_all(line(&told).as_bytes()).await?;
        }
        let mut nothing = [0; 1];
        loop {
            let told = tokio::select! {
                told = coming.recv() => told,
                // Whatever comes from there, or the end: it does not listen any more.
                _ = input.read(&mut nothing) => return Ok(()),
            };
            match told {
                Ok(Some(told)) => output.write_all(line(&told).as_bytes()).await?,
                Err(RecvError::Lagged(missed)) => {
                    let missed = json!({ "missed": missed });
                    output.write_all(format!("{missed}\n").as_bytes()).await?;
                }
                Ok(None) | Err(RecvError::Closed) => return Ok(()),
            }
        }
    }

    /// Nothing more comes. Waits a little until everybody has read it.
    pub async fn end(&self) {
        let _ = self.told.send(None);
        let everybody = self.places.acquire_many(MOST_FOLLOWERS as u32);
        let _ = timeout(GOODBYE, everybody).await;
    }
}

impl Default for Events {
    fn default() -> Self {
        Self::new()
    }
}

/// A line as people read it: `[SECONDS] INSTANCE: TEXT`.
#[must_use]
pub fn text(told: &Value) -> String {
    if let Some(missed) = told["missed"].as_u64() {
        return format!("({missed} events were missed)");
    }
    let at = told["at_ns"].as_u64().unwrap_or_default();
    let word = |key: &str| told[key].as_str().unwrap_or_default();
    let (seconds, micros) = (at / 1_000_000_000, at / 1_000 % 1_000_000);
    format!("[{seconds:>6}.{micros:06}] {}: {}", word("instance"), word("text"))
}

/// `docs/daemon.md` says what each key is.
fn line((at, event): &(Timestamp, Event)) -> String {
    let object = json!({
        "at_ns": at.as_nanos(),
        "instance": event.instance.as_str(),
        "what": event.news.name(),
        "text": event.news.to_string(),
        "news": event.news,
    });
    format!("{object}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncBufReadExt, BufReader, DuplexStream, Lines};
    use vipd_engine::{InstanceName, News};

    fn event(number: u64) -> (Timestamp, Event) {
        let instance = InstanceName::new("VI_1");
        (Timestamp::from_nanos(number), Event { instance, news: News::PreemptDelayOver })
    }

    fn follow(events: &Events) -> (Lines<BufReader<DuplexStream>>, DuplexStream) {
        let (theirs, output) = tokio::io::duplex(1 << 20);
        let (input, hold) = tokio::io::duplex(1);
        let events = events.clone();
        tokio::spawn(async move { events.follow(input, output).await });
        (BufReader::new(theirs).lines(), hold)
    }

    async fn next(lines: &mut Lines<BufReader<DuplexStream>>) -> Option<Value> {
        let line = lines.next_line().await.expect("no error")?;
        Some(serde_json::from_str(&line).expect("JSON"))
    }

    #[test]
    fn people_read_seconds_the_instance_and_what_happened() {
        let (_, event) = event(0);
        let told = line(&(Timestamp::from_nanos(12_000_345_678), event));
        let told = serde_json::from_str(&told).expect("JSON");
        assert_eq!(text(&told), "[    12.000345] VI_1: the preempt delay is over");
        assert_eq!(text(&json!({ "missed": 3 })), "(3 events were missed)");
    }

    #[tokio::test]
    async fn who_comes_late_hears_the_last_ones_and_then_what_comes() {
        let events = Events::new();
        for number in 0..=KEPT as u64 {
            let (at, event) = event(number);
            events.tell(at, &event);
        }
        let (mut lines, _hold) = follow(&events);
        // The first of all is not kept any more.
        let first = next(&mut lines).await.expect("a line");
        assert_eq!((&first["at_ns"], &first["instance"]), (&json!(1), &json!("VI_1")));
        assert_eq!(first["what"], "preempt-delay-over");
        for _ in 1..KEPT {
            next(&mut lines).await.expect("a line");
        }
        let (at, event) = event(1000);
        events.tell(at, &event);
        assert_eq!(next(&mut lines).await.expect("a line")["at_ns"], 1000);
        events.end().await;
        assert_eq!(next(&mut lines).await, None);
    }

    #[tokio::test]
    async fn who_follows_too_slowly_is_told_how_many_he_missed() {
        let events = Events::new();
        let (mut lines, _hold) = follow(&events);
        tokio::task::yield_now().await;
        for number in 0..KEPT as u64 + 5 {
            let (at, event) = event(number);
            events.tell(at, &event);
        }
        assert_eq!(next(&mut lines).await, Some(json!({ "missed": 5 })));
        assert_eq!(next(&mut lines).await.expect("a line")["at_ns"], 5);
    }

    #[tokio::test]
    async fn only_so_many_follow_and_one_that_goes_makes_room() {
        let events = Events::new();
        let mut followers: Vec<_> = (0..MOST_FOLLOWERS).map(|_| follow(&events)).collect();
        tokio::task::yield_now().await;
        let refused = next(&mut follow(&events).0).await.expect("a line");
        assert_eq!(refused["error"], "4 follow already");
        followers.pop();
        tokio::task::yield_now().await;
        let (mut lines, _hold) = follow(&events);
        tokio::task::yield_now().await;
        let (at, event) = event(7);
        events.tell(at, &event);
        assert_eq!(next(&mut lines).await.expect("a line")["at_ns"], 7);
    }
}
