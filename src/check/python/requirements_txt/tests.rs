//! Lines as pip reads them.

use super::*;

fn items(text: &str) -> Vec<(usize, Result<Item, String>)> {
    let lines = parse(text).unwrap();
    lines.into_iter().map(|line| (line.number, line.item)).collect()
}

fn item(text: &str) -> Item {
    let mut lines = parse(text).unwrap();
    assert_eq!(lines.len(), 1, "{text}");
    lines
        .remove(0)
        .item
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn link(text: &str) -> Link {
    match item(text) {
        Item::Link(link) => *link,
        other => panic!("{text}: {other:?}"),
    }
}

fn name(link: &Link) -> Option<&str> {
    link.name.as_ref().map(Name::as_str)
}

#[test]
fn comments_continuations_and_hashes_are_removed() {
    let text = "# all\n\nflask==2.0 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb  # via app\n  a#b\nrequests>=2 # c\n\
                x \\\n# ends it\ny";
    let found = items(text);
    let numbers: Vec<usize> = found.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, [3, 6, 7, 8, 10]);
    let Ok(Item::Requirement(flask)) = &found[0].1 else {
        panic!("{found:?}")
    };
    assert_eq!(
        (flask.name.as_str(), flask.specifiers.to_string()),
        ("flask", "==2.0".to_owned())
    );
    assert!(found[1].1.is_err());
    let Ok(Item::Requirement(x)) = &found[3].1 else {
        panic!("{found:?}")
    };
    assert_eq!(x.name.as_str(), "x");
}

#[test]
fn a_continuation_in_the_middle_of_a_word_joins_it() {
    let Item::Requirement(found) = item("fla\\\nsk") else {
        panic!()
    };
    assert_eq!(found.name.as_str(), "flask");
}

#[test]
fn options_are_read_or_ignored() {
    let text =
        "--index-url https://user:secret@index.test/simple --pre\n-i x\n--no-binary=:all:\n-f ./wheels\n";
    assert_eq!(items(text), []);
    for (text, path) in [
        ("-r base.txt", "base.txt"),
        ("-rbase.txt", "base.txt"),
        ("--requirement=base.txt", "base.txt"),
        ("--requirement 'my base.txt'", "my base.txt"),
        (r"-r my\ base.txt", "my base.txt"),
    ] {
        assert_eq!(item(text), Item::Include(path.to_owned()), "{text}");
    }
    assert_eq!(item("-c ../c.txt"), Item::Constraints("../c.txt".to_owned()));
    for text in ["--unknown", "-r", "-q", "-r 'x", "--pre=1"] {
        assert!(items(text)[0].1.is_err(), "{text}");
    }
}

#[test]
fn links_give_the_name_that_they_have() {
    for (text, expected, url) in [
        (
            "git+https://code.test/a/b@v1#egg=b[x]",
            Some("b"),
            "git+https://code.test/a/b@v1#egg=b[x]",
        ),
        (
            "https://x.test/a_b-1.0-py3-none-any.whl",
            Some("a-b"),
            "https://x.test/a_b-1.0-py3-none-any.whl",
        ),
        (
            "./dist/foo-bar-1.0.tar.gz",
            Some("foo-bar"),
            "./dist/foo-bar-1.0.tar.gz",
        ),
        (
            "a_b-1.0-py3-none-any.whl",
            Some("a-b"),
            "a_b-1.0-py3-none-any.whl",
        ),
        ("./app[db] ; python_version > '3'", None, "./app"),
        ("file:///srv/app", None, "file:///srv/app"),
        ("../app", None, "../app"),
        ("/srv/app", None, "/srv/app"),
        (
            "git+ssh://git@code.test/a/b.git",
            None,
            "git+ssh://git@code.test/a/b.git",
        ),
    ] {
        let found = link(text);
        assert_eq!(
            (name(&found), &*found.url, found.is_editable),
            (expected, url, false),
            "{text}"
        );
    }
    let app = link("./app[db,cache] ; python_version > '3'");
    assert_eq!((app.extras.len(), app.marker.is_some()), (2, true));
    let wheel = link("x/a-1.5-py3-none-any.whl");
    assert_eq!(wheel.version.unwrap().to_string(), "1.5");
}

#[test]
fn editable_requirements_are_links() {
    for (text, expected, url) in [
        ("-e .", None, "."),
        ("-e ./lib[x] ; ignored", None, "./lib"),
        (
            "--editable=git+https://code.test/a@main#egg=a",
            Some("a"),
            "git+https://code.test/a@main#egg=a",
        ),
        (
            r#"-e "app @ file:///srv/app ; os_name == 'posix'""#,
            Some("app"),
            "file:///srv/app",
        ),
    ] {
        let found = link(text);
        assert_eq!(
            (name(&found), &*found.url, found.is_editable),
            (expected, url, true),
            "{text}"
        );
    }
}

#[test]
fn a_named_url_is_a_requirement() {
    let Item::Requirement(found) = item("a[x] @ git+https://${TOKEN}@code.test/a@v1 ; os_name == 'posix'")
    else {
        panic!()
    };
    assert_eq!(found.url.as_deref(), Some("git+https://${TOKEN}@code.test/a@v1"));
    let error = items("${NAME}==1")[0].1.clone().unwrap_err();
    assert!(error.contains("variables of the environment"), "{error}");
}

#[test]
fn other_encodings_are_decoded() {
    let utf16 = |to: fn(u16) -> [u8; 2]| "\u{feff}a==1\n".encode_utf16().flat_map(to).collect::<Vec<u8>>();
    for bytes in [
        utf16(u16::to_le_bytes),
        utf16(u16::to_be_bytes),
        b"\xef\xbb\xbfa==1\n".to_vec(),
        b"a==1\n".to_vec(),
    ] {
        assert_eq!(decode(bytes).unwrap(), "a==1\n");
    }
    assert!(decode(b"\xff".to_vec()).is_err());
    assert!(decode(b"\xff\xfe\x00\xd8".to_vec()).is_err());
}

#[test]
fn too_many_lines_are_an_error() {
    assert!(parse(&"a\n".repeat(MAX_LINES)).is_ok());
    assert!(parse(&"a\n".repeat(MAX_LINES + 1)).is_err());
}
