//! Tests of templates. The expected names are those of Go's text/template.

use super::*;

fn attributes() -> Attributes {
    Attributes {
        comm: "java".to_owned(),
        exe_base: "java".to_owned(),
        exe_full: "/usr/bin/java".to_owned(),
        username: "www-data".to_owned(),
        pid: 42,
        start_nanoseconds: 1_700_000_000_120_000_000,
        matches: [("App", "web"), ("Port", "80")]
            .map(|(name, text)| (name.to_owned(), text.to_owned()))
            .into(),
        cgroups: vec!["/system.slice/web.service".to_owned(), "/".to_owned()],
    }
}

fn rendered(source: &str) -> String {
    match Template::parse(source) {
        Ok(template) => template.render(&attributes()),
        Err(error) => panic!("{source}: {error}"),
    }
}

#[test]
fn names_are_those_of_go() {
    for (source, name) in [
        ("", ""),
        ("plain", "plain"),
        ("{{.Comm}}", "java"),
        ("{{ .ExeFull }}:{{.Matches.App}}", "/usr/bin/java:web"),
        ("{{.ExeBase}} {{.Username}} {{.PID}}", "java www-data 42"),
        ("{{.StartTime}}", "2023-11-14 22:13:20.12 +0000 UTC"),
        ("{{.StartTime.Unix}}", "1700000000"),
        ("{{.Matches.None}}", "<no value>"),
        ("{{.Matches}}", "map[App:web Port:80]"),
        ("{{.Cgroups}}", "[/system.slice/web.service /]"),
        ("{{index .Cgroups 0}}", "/system.slice/web.service"),
        ("a{{index .Cgroups 7}}b", "a"),
        ("{{index .Matches \"App\"}}{{index .Matches \"None\"}}", "web"),
        ("a {{- .Comm -}} b", "ajavab"),
        ("a{{/* not shown */}}b {{- /* nor this */ -}} c", "abc"),
        (
            "{{if .Matches.None}}a{{else if eq .Comm \"java\" \"x\"}}b{{else}}c{{end}}",
            "b",
        ),
        ("{{if and .Matches.App (not .Matches.None)}}both{{end}}", "both"),
        ("{{or .Matches.None .Comm}}", "java"),
        ("{{with .Matches.App}}{{.}}-{{$.PID}}{{end}}", "web-42"),
        (
            "{{range .Cgroups}}<{{.}}>{{else}}none{{end}}",
            "</system.slice/web.service></>",
        ),
        (
            "{{printf \"%05d|%-3d|%v|%%|%q\" 7 8 .PID .Comm}}",
            "00007|8  |42|%|\"java\"",
        ),
        ("{{.Comm | printf \"%s-%s\" .Username}}", "www-data-java"),
        ("{{slice .Comm 0 2}}{{len .Comm}}", "ja4"),
        ("{{print 1 2 .Comm 3}}{{println .Comm 1}}", "1 2java3java 1\n"),
        ("{{`raw \"text\"`}}{{\"a\\tb\"}}", "raw \"text\"a\tb"),
        ("{{if ge .PID 42}}{{if ne .Comm \"x\"}}yes{{end}}{{end}}", "yes"),
        ("{{(index .Cgroups 1)}}{{if lt 1 2}}<{{end}}", "/<"),
        ("a}}b", "a}}b"),
    ] {
        assert_eq!(rendered(source), name, "{source}");
    }
}

#[test]
fn mistakes_and_unsupported_parts_are_reported() {
    for (source, part) in [
        (
            "{{.Foo}}",
            "unknown variable .Foo: the variables are .Cgroups, .Comm,",
        ),
        ("{{.comm}}", "unknown variable .comm"),
        ("{{.}}", "{{.}} is not supported"),
        ("{{$}}", "$ is not supported alone"),
        ("{{$x := .Comm}}", "variables such as $x"),
        ("{{.Comm", "unclosed action"),
        ("{{}}", "an action is empty"),
        ("{{if .Comm}}x", "not closed"),
        ("x{{end}}", "end without a block"),
        ("{{else}}", "else without a block"),
        (
            "{{.StartTime.Format \"x\"}}",
            "Format of .StartTime is not supported",
        ),
        ("{{html .Comm}}", "the function html is not supported"),
        ("{{template \"x\"}}", "the function template is not supported"),
        ("{{.Comm .PID}}", "only functions have arguments"),
        ("{{.PID | .Comm}}", "only a function can follow |"),
        ("{{(.Comm}}", "unclosed parenthesis"),
        ("{{.Comm)}}", "unopened parenthesis"),
        ("{{\"a}}", "unclosed text"),
        ("{{/* a", "unclosed comment"),
        ("{{.Matches.}}", "a name is missing"),
        ("{{1.5}}", "not a whole number"),
    ] {
        match Template::parse(source) {
            Err(error) => assert!(error.contains(part), "{source}: {error}"),
            Ok(template) => panic!("{source} is accepted: {template:?}"),
        }
    }
    let deep = "{{if true}}".repeat(17);
    assert!(Template::parse(&deep).is_err_and(|error| error.contains("nested deeper")));
    assert!(Template::parse(&"a".repeat(MAX_TEMPLATE_BYTES + 1)).is_err());
}

#[test]
fn nested_ranges_end() {
    let mut many = attributes();
    many.cgroups = vec!["/".to_owned(); 1000];
    let template = Template::parse("{{range .Cgroups}}{{range $.Cgroups}}x{{end}}{{end}}");
    let name = template.map(|template| template.render(&many).len());
    assert!(name.is_ok_and(|length| length <= 10_000));
}

proptest::proptest! {
    #[test]
    fn any_text_is_parsed_or_rejected(source in "(\\{\\{|\\}\\}|-| |\\.|Comm|Matches|\\$|\"|`|if|end|else|range|index|printf|\\(|\\)|\\||/\\*|[a-z0-9é%])*") {
        if let Ok(template) = Template::parse(&source) {
            template.render(&attributes());
        }
    }
}
