//! Mail alerts over loopback, to servers that take them, refuse, are slow, or go away.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use vipd::mail::queue::{PER_MINUTE, RETRY_FIRST, WAITING_MAX};
use vipd::mail::{Mailer, Post, STOP_LIMIT};
use vipd_config::text::InMemory;
use vipd_config::{Loaded, Options, load_from};
use vipd_engine::{Event, InstanceName, News, StateKind, Why};

const PATIENCE: Duration = Duration::from_secs(20);

/// What a server does in one connection.
#[derive(Clone, Copy, Debug)]
enum Does {
    /// It takes everything.
    Takes,
    /// It answers these commands otherwise.
    Answers(&'static str, &'static str),
    /// It closes behind this command.
    Closes(&'static str),
    /// It says nothing at all.
    Hangs,
    /// It says an octet of its greeting now and then, and never the end of it.
    Drips,
    /// It takes everything, and this long for each reply.
    Slow(Duration),
}

/// A mail as it came, and for whom.
#[derive(Debug)]
struct Came {
    to: Vec<String>,
    text: String,
}

impl Came {
    fn line(&self, start: &str) -> &str {
        let mut lines = self.text.lines();
        lines.find_map(|line| line.strip_prefix(start)).unwrap_or_else(|| panic!("{}", self.text))
    }

    fn body(&self) -> &str {
        self.text.split_once("\n\n").expect("a body").1
    }
}

struct Server {
    port: u16,
    came: Receiver<Came>,
    /// The number of each connection's next one.
    connected: Receiver<Instant>,
}

impl Server {
    /// These connections one after the other, then it takes everything.
    fn start(does: &[Does]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let ((sender, came), (counter, connected)) = (channel(), channel());
        let mut does: VecDeque<_> = does.iter().copied().collect();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let _ = counter.send(Instant::now());
                let does = does.pop_front().unwrap_or(Does::Takes);
                // The client may go away at any time.
                let _ = converse(stream, does, &sender);
            }
        });
        Self { port, came, connected }
    }

    fn next(&self) -> Came {
        self.came.recv_timeout(PATIENCE).expect("a mail")
    }
}

fn converse(stream: TcpStream, does: Does, came: &Sender<Came>) -> std::io::Result<()> {
    let mut output = stream.try_clone()?;
    let mut lines = BufReader::new(stream).lines();
    if let Does::Hangs = does {
        return lines.try_for_each(|line| line.map(drop));
    }
    while let Does::Drips = does {
        output.write_all(b"2")?;
        thread::sleep(Duration::from_millis(100));
    }
    let mut say = |words: &str| {
        if let Does::Slow(wait) = does {
            thread::sleep(wait);
        }
        output.write_all(words.as_bytes())
    };
    say("220-mail.example\r\n220 ready\r\n")?;
    let mut to = Vec::new();
    while let Some(line) = lines.next() {
        let line = line?;
        match does {
            Does::Answers(command, reply) if line.starts_with(command) => {
                say(reply)?;
                continue;
            }
            Does::Closes(command) if line.starts_with(command) => return Ok(()),
            _ => {}
        }
        if let Some(receiver) = line.strip_prefix("RCPT TO:") {
            to.push(receiver.to_string());
        }
        if line == "DATA" {
            say("354 go on\r\n")?;
            let mut text = String::new();
            loop {
                let line = lines.next().ok_or(std::io::ErrorKind::UnexpectedEof)??;
                if line == "." {
                    break;
                }
                text.push_str(line.strip_prefix('.').unwrap_or(&line));
                text.push('\n');
            }
            if let Does::Closes(".") = does {
                return Ok(());
            }
            say("250 taken\r\n")?;
            let _ = came.send(Came { to: std::mem::take(&mut to), text });
        } else if line == "QUIT" {
            return say("221 bye\r\n");
        } else {
            say("250 fine\r\n")?;
        }
    }
    Ok(())
}

fn settings(port: u16) -> Loaded {
    let text = format!(
        "global_defs {{\n router_id lb1\n smtp_server localhost {port}\n smtp_connect_timeout 1\n \
         notification_email_from \"The pair <pair@x.example>\"\n \
         notification_email {{\n a@x.example\n b@x.example\n }}\n}}\n\
         vrrp_instance VI_1 {{\n interface eth0\n virtual_router_id 1\n smtp_alert\n \
         virtual_ipaddress {{\n 192.0.2.101\n }}\n}}\n"
    );
    let files = InMemory::new().with("/k.conf", text);
    load_from(&files, Path::new("/k.conf"), &Options::default()).expect("it can be used")
}

fn tell(post: &Post, to: StateKind, why: Why) {
    let news = News::State { from: StateKind::Backup, to, why };
    post.tell(&Event { instance: InstanceName::new("VI_1"), news });
}

/// Master, backup, master and so on.
fn flap(post: &Post, times: usize) {
    for number in 0..times {
        let to = if number % 2 == 0 { StateKind::Master } else { StateKind::Backup };
        tell(post, to, Why::Recovered);
    }
}

/// Plays this with a mailer for a server, on a runtime as vipd has it.
fn with<T>(server: &Server, play: impl AsyncFnOnce(Mailer) -> T) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().expect("a runtime").block_on(async {
        let mailer = Mailer::start();
        mailer.post().configure(&settings(server.port));
        play(mailer).await
    })
}

/// Waits until the report is like that.
async fn until(post: &Post, is_so: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let report = post.report();
        if is_so(&report) {
            return report;
        }
        assert!(Instant::now() < deadline, "{report}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn each_state_is_a_mail_to_all_receivers_in_order_and_the_one_of_the_stop_arrives() {
    let server = Server::start(&[]);
    with(&server, async |mailer| {
        flap(&mailer.post(), 2);
        tell(&mailer.post(), StateKind::Initialize, Why::Shutdown);
        mailer.end().await;
    });
    for (state, body) in [
        ("Entering MASTER state", "VRRP Instance is now owning VRRP VIPs"),
        ("Entering BACKUP state", "VRRP Instance is no longer owning VRRP VIPs"),
        ("Stopping", "VRRP Instance stopping"),
    ] {
        let came = server.came.try_recv().expect("it came before the end");
        assert_eq!(came.line("Subject: "), format!("[lb1] VRRP Instance VI_1 - {state}"));
        assert_eq!(came.body(), format!("=> {body} <=\n"));
        assert_eq!(came.to, ["<a@x.example>", "<b@x.example>"]);
        assert_eq!(came.line("From: "), "The pair <pair@x.example>");
        assert_eq!(came.line("To: "), "a@x.example,");
        assert!(came.line("Date: ").ends_with(" +0000"));
        assert_eq!(came.line("X-Mailer: "), "vipd");
        assert!(came.line("Message-ID: <").ends_with('>'));
    }
}

#[test]
fn a_receiver_that_is_refused_takes_the_mail_from_nobody_else() {
    let server = Server::start(&[Does::Answers("RCPT TO:<a@", "550-no\r\n550 such user\r\n")]);
    with(&server, async |mailer| {
        let post = mailer.post();
        flap(&post, 1);
        let report = until(&post, |report| report["sent"] == 1).await;
        assert_eq!(report["last_error"], "the reply to RCPT TO is \"550 such user\"");
        assert_eq!((&report["waiting"], &report["lost"]), (&0.into(), &0.into()));
    });
    assert_eq!(server.next().to, ["<b@x.example>"]);
}

#[test]
fn what_a_server_puts_off_is_tried_again_and_goes_with_what_came_meanwhile() {
    let server = Server::start(&[Does::Answers("MAIL", "451 busy\r\n")]);
    with(&server, async |mailer| {
        let post = mailer.post();
        flap(&post, 1);
        let report = until(&post, |report| !report["last_error"].is_null()).await;
        assert_eq!(report["last_error"], "the reply to MAIL FROM is \"451 busy\"");
        assert_eq!((&report["waiting"], &report["sent"]), (&1.into(), &0.into()));
        assert!(report["retry_in_ns"].as_u64() > Some(0));
        tell(&post, StateKind::Fault, Why::Recovered);
        tell(&post, StateKind::Backup, Why::Recovered);
        let report = until(&post, |report| report["sent"] == 1).await;
        assert!(report["last_error"].is_null() && report["retry_in_ns"].is_null(), "{report}");
    });
    let came = server.next();
    assert_eq!(came.line("Subject: "), "[lb1] 3 alerts");
    let states: Vec<_> =
        came.body().lines().map(|line| line.rsplit_once("- ").unwrap().1).collect();
    assert_eq!(states, ["Entering MASTER state", "Entering FAULT state", "Entering BACKUP state"]);
    let tries: Vec<_> = server.connected.try_iter().collect();
    assert_eq!(tries.len(), 2);
    assert!(tries[1] - tries[0] >= RETRY_FIRST, "{tries:?}");
}

#[test]
fn a_server_that_goes_away_at_any_moment_gets_the_mail_again() {
    let closes = ["HELO", "MAIL", "RCPT", "DATA", "."].map(Does::Closes);
    let servers = closes.map(|does| Server::start(&[does]));
    thread::scope(|scope| {
        for server in servers {
            scope.spawn(move || {
                with(&server, async |mailer| {
                    let post = mailer.post();
                    flap(&post, 1);
                    until(&post, |report| report["last_error"].is_string()).await;
                    until(&post, |report| report["sent"] == 1).await;
                });
                let came = server.next();
                assert_eq!(came.body(), "=> VRRP Instance is now owning VRRP VIPs <=\n");
                assert!(server.came.try_recv().is_err(), "once is enough");
            });
        }
    });
}

#[test]
fn a_server_that_hangs_is_given_up_in_its_time_and_keeps_neither_the_loop_nor_the_end() {
    let server = Server::start(&[Does::Hangs, Does::Hangs, Does::Hangs, Does::Hangs]);
    with(&server, async |mailer| {
        let post = mailer.post();
        flap(&post, 1);
        let report = until(&post, |report| report["last_error"].is_string()).await;
        assert_eq!(report["last_error"], "the greeting did not come within 1 s");
        let told = Instant::now();
        flap(&post, 1000);
        assert!(told.elapsed() < Duration::from_secs(1), "nobody waits: {:?}", told.elapsed());
        let ending = Instant::now();
        mailer.end().await;
        let took = ending.elapsed();
        assert!(took < STOP_LIMIT + Duration::from_millis(500), "it took {took:?}");
    });
    assert!(server.came.try_recv().is_err());
}

#[test]
fn a_server_that_says_a_little_now_and_then_gets_no_more_time_than_one_that_says_nothing() {
    let server = Server::start(&[Does::Drips]);
    with(&server, async |mailer| {
        let post = mailer.post();
        let began = Instant::now();
        flap(&post, 1);
        let report = until(&post, |report| report["last_error"].is_string()).await;
        assert_eq!(report["last_error"], "the greeting did not come within 1 s");
        assert!(began.elapsed() < Duration::from_secs(3), "it took {:?}", began.elapsed());
    });
}

#[test]
fn a_slow_server_still_gets_the_mail_of_the_stop() {
    let server = Server::start(&[Does::Slow(Duration::from_millis(200))]);
    with(&server, async |mailer| {
        tell(&mailer.post(), StateKind::Initialize, Why::Shutdown);
        mailer.end().await;
    });
    let came = server.came.try_recv().expect("it came before the end");
    assert_eq!(came.line("Subject: "), "[lb1] VRRP Instance VI_1 - Stopping");
}

#[test]
fn of_a_flood_ten_are_mails_of_their_own_and_the_end_sends_the_rest_as_one() {
    let server = Server::start(&[]);
    with(&server, async |mailer| {
        let post = mailer.post();
        flap(&post, PER_MINUTE + 30);
        let report = until(&post, |report| report["sent"] == PER_MINUTE).await;
        assert_eq!(report["waiting"], 30);
        mailer.end().await;
    });
    let came: Vec<_> = server.came.try_iter().collect();
    assert_eq!(came.len(), PER_MINUTE + 1);
    assert_eq!(came[PER_MINUTE].line("Subject: "), "[lb1] 30 alerts");
    assert_eq!(came[PER_MINUTE].body().lines().count(), 30);
}

#[test]
fn what_waits_for_a_server_that_is_not_there_is_bounded_and_losing_is_told() {
    let port = {
        let server = TcpListener::bind("127.0.0.1:0").expect("a port");
        server.local_addr().expect("an address").port()
    };
    let (_, came) = channel();
    let nobody = Server { port, came, connected: channel().1 };
    with(&nobody, async |mailer| {
        let post = mailer.post();
        flap(&post, 1);
        let report = until(&post, |report| report["last_error"].is_string()).await;
        let words = report["last_error"].as_str().expect("text");
        assert!(words.contains("no connection to ") && words.contains("refused"), "{words}");
        flap(&post, 10_001);
        let report = post.report();
        assert_eq!(report["waiting"], WAITING_MAX);
        assert_eq!(report["lost"], 10_001 - WAITING_MAX);
        // Another server in the file is tried at once.
        let server = Server::start(&[]);
        post.configure(&settings(server.port));
        until(&post, |report| report["sent"] == 1).await;
        let came = server.next();
        let lost = 10_001 - WAITING_MAX;
        assert_eq!(came.line("Subject: "), format!("[lb1] {WAITING_MAX} alerts, {lost} lost"));
        assert_eq!(came.body().lines().count(), WAITING_MAX + 2);
    });
}
