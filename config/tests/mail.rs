//! Mail settings: whose states are mailed, and what is no address.

use std::path::Path;

use vipd_config::{Loaded, Options, load_from, text::InMemory};
use vipd_engine::{GroupName, InstanceName};

const SERVER: &str = "smtp_server 192.0.2.25 2525\nnotification_email {\n a@x.example\n \
                      b@x.example\n}";

fn read(globals: &str, of_one: &str, of_two: &str, of_group: &str) -> Loaded {
    let instance = |number: u8, more: &str| {
        format!(
            "vrrp_instance VI_{number} {{\n interface eth0\n virtual_router_id {number}\n \
             virtual_ipaddress {{\n 192.0.2.10{number}\n }}\n {more}\n}}\n"
        )
    };
    let text = format!(
        "global_defs {{\n{globals}\n}}\n{}{}vrrp_sync_group VG {{\n group {{\n VI_1\n VI_2\n }}\n \
         {of_group}\n}}\n",
        instance(1, of_one),
        instance(2, of_two),
    );
    let files = InMemory::new().with("/k.conf", text);
    load_from(&files, Path::new("/k.conf"), &Options::default()).expect("it can be used")
}

fn mailed(loaded: &Loaded) -> (Vec<&str>, Vec<&str>) {
    let instances = loaded.mail.instances.iter().map(InstanceName::as_str).collect();
    (instances, loaded.mail.groups.iter().map(GroupName::as_str).collect())
}

fn findings(loaded: &Loaded) -> Vec<String> {
    loaded.report.diagnostics.warnings().map(|one| one.message.clone()).collect()
}

#[test]
fn an_instance_or_group_says_whether_it_is_mailed_else_the_vrrp_setting_else_the_general_one() {
    let with = |more: &str| format!("{SERVER}\n{more}");
    assert_eq!(mailed(&read(SERVER, "", "", "")), (vec![], vec![]), "off is the default");
    let own = read(SERVER, "smtp_alert", "smtp_alert off", "smtp_alert on");
    assert_eq!(mailed(&own), (vec!["VI_1"], vec!["VG"]));
    let general = read(&with("smtp_alert"), "", "smtp_alert off", "");
    assert_eq!(mailed(&general), (vec!["VI_1"], vec!["VG"]));
    let vrrp = read(&with("smtp_alert\nsmtp_alert_vrrp off"), "smtp_alert", "", "");
    assert_eq!(mailed(&vrrp), (vec!["VI_1"], vec![]));
    assert_eq!(findings(&vrrp), [""; 0]);
    assert_eq!(
        (vrrp.mail.port, vrrp.mail.to.len(), vrrp.mail.omits_faults),
        (Some(2525), 2, false)
    );
    assert!(read(&with("no_email_faults"), "", "", "").mail.omits_faults);
}

#[test]
fn who_asks_for_mail_that_cannot_be_sent_is_told_what_is_missing() {
    let nothing = read("smtp_alert", "", "", "");
    assert_eq!(findings(&nothing), [""; 0], "a general setting asks for nothing by itself");
    let no_server = read("notification_email {\n a@x.example\n}", "", "smtp_alert", "");
    assert_eq!(findings(&no_server), ["no mail is sent: there is no `smtp_server`"]);
    let nobody = read("smtp_server 192.0.2.25", "", "", "smtp_alert");
    assert_eq!(findings(&nobody), ["no mail is sent: there is no `notification_email`"]);
}

#[test]
fn what_would_end_a_command_is_no_address_and_is_left_out() {
    let text = "smtp_server 192.0.2.25\nnotification_email_from root\nnotification_email {\n \
                ops\n \"Ops <ops@x.example>\"\n \"a@x>\\r\\nRCPT TO:<b@x\"\n}";
    let loaded = read(text, "", "", "");
    assert_eq!((loaded.mail.from.as_deref(), loaded.mail.to.len()), (None, 1));
    let found = findings(&loaded);
    assert_eq!(found.len(), 3, "{found:?}");
    assert_eq!(found[0], "`root` is no mail address, and is left out");
}
