//! The key words of Postgres and what each may stand for where a name is expected.
//!
//! Source: `src/include/parser/kwlist.h` of Postgres 18, which holds every key word of 15 to 18. Where a
//! younger word is a plain name to an older server, the grammar in [`query`](super::query) takes both
//! readings to the same effects.

/// Where a key word may be a name (`src/include/common/keywords.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Category {
    /// Any name.
    Unreserved,
    /// A column or table, but no function or type.
    ColumnName,
    /// A function or type, but no column or table.
    TypeOrFunctionName,
    /// Only a label after `AS`, or an attribute.
    Reserved,
}

/// Whether a key word may be a column label without `AS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Label {
    /// `SELECT 1 word` labels.
    Bare,
    /// Only `SELECT 1 AS word` does.
    WithAs,
}

macro_rules! keywords {
    ($($variant:ident $text:literal $category:ident $label:ident;)*) => {
        /// A key word.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(super) enum Keyword { $($variant),* }

        /// All of them, sorted by text, as [`Keyword::from_folded`] needs it.
        const TABLE: &[(&str, Keyword, Category, Label)] =
            &[$(($text, Keyword::$variant, Category::$category, Label::$label)),*];
    };
}

keywords! {
    Abort "abort" Unreserved Bare;
    Absent "absent" Unreserved Bare;
    Absolute "absolute" Unreserved Bare;
    Access "access" Unreserved Bare;
    Action "action" Unreserved Bare;
    Add "add" Unreserved Bare;
    Admin "admin" Unreserved Bare;
    After "after" Unreserved Bare;
    Aggregate "aggregate" Unreserved Bare;
    All "all" Reserved Bare;
    Also "also" Unreserved Bare;
    Alter "alter" Unreserved Bare;
    Always "always" Unreserved Bare;
    Analyse "analyse" Reserved Bare;
    Analyze "analyze" Reserved Bare;
    And "and" Reserved Bare;
    Any "any" Reserved Bare;
    Array "array" Reserved WithAs;
    As "as" Reserved WithAs;
    Asc "asc" Reserved Bare;
    Asensitive "asensitive" Unreserved Bare;
    Assertion "assertion" Unreserved Bare;
    Assignment "assignment" Unreserved Bare;
    Asymmetric "asymmetric" Reserved Bare;
    At "at" Unreserved Bare;
    Atomic "atomic" Unreserved Bare;
    Attach "attach" Unreserved Bare;
    Attribute "attribute" Unreserved Bare;
    Authorization "authorization" TypeOrFunctionName Bare;
    Backward "backward" Unreserved Bare;
    Before "before" Unreserved Bare;
    Begin "begin" Unreserved Bare;
    Between "between" ColumnName Bare;
    Bigint "bigint" ColumnName Bare;
    Binary "binary" TypeOrFunctionName Bare;
    Bit "bit" ColumnName Bare;
    Boolean "boolean" ColumnName Bare;
    Both "both" Reserved Bare;
    Breadth "breadth" Unreserved Bare;
    By "by" Unreserved Bare;
    Cache "cache" Unreserved Bare;
    Call "call" Unreserved Bare;
    Called "called" Unreserved Bare;
    Cascade "cascade" Unreserved Bare;
    Cascaded "cascaded" Unreserved Bare;
    Case "case" Reserved Bare;
    Cast "cast" Reserved Bare;
    Catalog "catalog" Unreserved Bare;
    Chain "chain" Unreserved Bare;
    Char "char" ColumnName WithAs;
    Character "character" ColumnName WithAs;
    Characteristics "characteristics" Unreserved Bare;
    Check "check" Reserved Bare;
    Checkpoint "checkpoint" Unreserved Bare;
    Class "class" Unreserved Bare;
    Close "close" Unreserved Bare;
    Cluster "cluster" Unreserved Bare;
    Coalesce "coalesce" ColumnName Bare;
    Collate "collate" Reserved Bare;
    Collation "collation" TypeOrFunctionName Bare;
    Column "column" Reserved Bare;
    Columns "columns" Unreserved Bare;
    Comment "comment" Unreserved Bare;
    Comments "comments" Unreserved Bare;
    Commit "commit" Unreserved Bare;
    Committed "committed" Unreserved Bare;
    Compression "compression" Unreserved Bare;
    Concurrently "concurrently" TypeOrFunctionName Bare;
    Conditional "conditional" Unreserved Bare;
    Configuration "configuration" Unreserved Bare;
    Conflict "conflict" Unreserved Bare;
    Connection "connection" Unreserved Bare;
    Constraint "constraint" Reserved Bare;
    Constraints "constraints" Unreserved Bare;
    Content "content" Unreserved Bare;
    Continue "continue" Unreserved Bare;
    Conversion "conversion" Unreserved Bare;
    Copy "copy" Unreserved Bare;
    Cost "cost" Unreserved Bare;
    Create "create" Reserved WithAs;
    Cross "cross" TypeOrFunctionName Bare;
    Csv "csv" Unreserved Bare;
    Cube "cube" Unreserved Bare;
    Current "current" Unreserved Bare;
    CurrentCatalog "current_catalog" Reserved Bare;
    CurrentDate "current_date" Reserved Bare;
    CurrentRole "current_role" Reserved Bare;
    CurrentSchema "current_schema" TypeOrFunctionName Bare;
    CurrentTime "current_time" Reserved Bare;
    CurrentTimestamp "current_timestamp" Reserved Bare;
    CurrentUser "current_user" Reserved Bare;
    Cursor "cursor" Unreserved Bare;
    Cycle "cycle" Unreserved Bare;
    Data "data" Unreserved Bare;
    Database "database" Unreserved Bare;
    Day "day" Unreserved WithAs;
    Deallocate "deallocate" Unreserved Bare;
    Dec "dec" ColumnName Bare;
    Decimal "decimal" ColumnName Bare;
    Declare "declare" Unreserved Bare;
    Default "default" Reserved Bare;
    Defaults "defaults" Unreserved Bare;
    Deferrable "deferrable" Reserved Bare;
    Deferred "deferred" Unreserved Bare;
    Definer "definer" Unreserved Bare;
    Delete "delete" Unreserved Bare;
    Delimiter "delimiter" Unreserved Bare;
    Delimiters "delimiters" Unreserved Bare;
    Depends "depends" Unreserved Bare;
    Depth "depth" Unreserved Bare;
    Desc "desc" Reserved Bare;
    Detach "detach" Unreserved Bare;
    Dictionary "dictionary" Unreserved Bare;
    Disable "disable" Unreserved Bare;
    Discard "discard" Unreserved Bare;
    Distinct "distinct" Reserved Bare;
    Do "do" Reserved Bare;
    Document "document" Unreserved Bare;
    Domain "domain" Unreserved Bare;
    Double "double" Unreserved Bare;
    Drop "drop" Unreserved Bare;
    Each "each" Unreserved Bare;
    Else "else" Reserved Bare;
    Empty "empty" Unreserved Bare;
    Enable "enable" Unreserved Bare;
    Encoding "encoding" Unreserved Bare;
    Encrypted "encrypted" Unreserved Bare;
    End "end" Reserved Bare;
    Enforced "enforced" Unreserved Bare;
    Enum "enum" Unreserved Bare;
    Error "error" Unreserved Bare;
    Escape "escape" Unreserved Bare;
    Event "event" Unreserved Bare;
    Except "except" Reserved WithAs;
    Exclude "exclude" Unreserved Bare;
    Excluding "excluding" Unreserved Bare;
    Exclusive "exclusive" Unreserved Bare;
    Execute "execute" Unreserved Bare;
    Exists "exists" ColumnName Bare;
    Explain "explain" Unreserved Bare;
    Expression "expression" Unreserved Bare;
    Extension "extension" Unreserved Bare;
    External "external" Unreserved Bare;
    Extract "extract" ColumnName Bare;
    False "false" Reserved Bare;
    Family "family" Unreserved Bare;
    Fetch "fetch" Reserved WithAs;
    Filter "filter" Unreserved WithAs;
    Finalize "finalize" Unreserved Bare;
    First "first" Unreserved Bare;
    Float "float" ColumnName Bare;
    Following "following" Unreserved Bare;
    For "for" Reserved WithAs;
    Force "force" Unreserved Bare;
    Foreign "foreign" Reserved Bare;
    Format "format" Unreserved Bare;
    Forward "forward" Unreserved Bare;
    Freeze "freeze" TypeOrFunctionName Bare;
    From "from" Reserved WithAs;
    Full "full" TypeOrFunctionName Bare;
    Function "function" Unreserved Bare;
    Functions "functions" Unreserved Bare;
    Generated "generated" Unreserved Bare;
    Global "global" Unreserved Bare;
    Grant "grant" Reserved WithAs;
    Granted "granted" Unreserved Bare;
    Greatest "greatest" ColumnName Bare;
    Group "group" Reserved WithAs;
    Grouping "grouping" ColumnName Bare;
    Groups "groups" Unreserved Bare;
    Handler "handler" Unreserved Bare;
    Having "having" Reserved WithAs;
    Header "header" Unreserved Bare;
    Hold "hold" Unreserved Bare;
    Hour "hour" Unreserved WithAs;
    Identity "identity" Unreserved Bare;
    If "if" Unreserved Bare;
    Ilike "ilike" TypeOrFunctionName Bare;
    Immediate "immediate" Unreserved Bare;
    Immutable "immutable" Unreserved Bare;
    Implicit "implicit" Unreserved Bare;
    Import "import" Unreserved Bare;
    In "in" Reserved Bare;
    Include "include" Unreserved Bare;
    Including "including" Unreserved Bare;
    Increment "increment" Unreserved Bare;
    Indent "indent" Unreserved Bare;
    Index "index" Unreserved Bare;
    Indexes "indexes" Unreserved Bare;
    Inherit "inherit" Unreserved Bare;
    Inherits "inherits" Unreserved Bare;
    Initially "initially" Reserved Bare;
    Inline "inline" Unreserved Bare;
    Inner "inner" TypeOrFunctionName Bare;
    Inout "inout" ColumnName Bare;
    Input "input" Unreserved Bare;
    Insensitive "insensitive" Unreserved Bare;
    Insert "insert" Unreserved Bare;
    Instead "instead" Unreserved Bare;
    Int "int" ColumnName Bare;
    Integer "integer" ColumnName Bare;
    Intersect "intersect" Reserved WithAs;
    Interval "interval" ColumnName Bare;
    Into "into" Reserved WithAs;
    Invoker "invoker" Unreserved Bare;
    Is "is" TypeOrFunctionName Bare;
    Isnull "isnull" TypeOrFunctionName WithAs;
    Isolation "isolation" Unreserved Bare;
    Join "join" TypeOrFunctionName Bare;
    Json "json" ColumnName Bare;
    JsonArray "json_array" ColumnName Bare;
    JsonArrayagg "json_arrayagg" ColumnName Bare;
    JsonExists "json_exists" ColumnName Bare;
    JsonObject "json_object" ColumnName Bare;
    JsonObjectagg "json_objectagg" ColumnName Bare;
    JsonQuery "json_query" ColumnName Bare;
    JsonScalar "json_scalar" ColumnName Bare;
    JsonSerialize "json_serialize" ColumnName Bare;
    JsonTable "json_table" ColumnName Bare;
    JsonValue "json_value" ColumnName Bare;
    Keep "keep" Unreserved Bare;
    Key "key" Unreserved Bare;
    Keys "keys" Unreserved Bare;
    Label "label" Unreserved Bare;
    Language "language" Unreserved Bare;
    Large "large" Unreserved Bare;
    Last "last" Unreserved Bare;
    Lateral "lateral" Reserved Bare;
    Leading "leading" Reserved Bare;
    Leakproof "leakproof" Unreserved Bare;
    Least "least" ColumnName Bare;
    Left "left" TypeOrFunctionName Bare;
    Level "level" Unreserved Bare;
    Like "like" TypeOrFunctionName Bare;
    Limit "limit" Reserved WithAs;
    Listen "listen" Unreserved Bare;
    Load "load" Unreserved Bare;
    Local "local" Unreserved Bare;
    Localtime "localtime" Reserved Bare;
    Localtimestamp "localtimestamp" Reserved Bare;
    Location "location" Unreserved Bare;
    Lock "lock" Unreserved Bare;
    Locked "locked" Unreserved Bare;
    Logged "logged" Unreserved Bare;
    Mapping "mapping" Unreserved Bare;
    Match "match" Unreserved Bare;
    Matched "matched" Unreserved Bare;
    Materialized "materialized" Unreserved Bare;
    Maxvalue "maxvalue" Unreserved Bare;
    Merge "merge" Unreserved Bare;
    MergeAction "merge_action" ColumnName Bare;
    Method "method" Unreserved Bare;
    Minute "minute" Unreserved WithAs;
    Minvalue "minvalue" Unreserved Bare;
    Mode "mode" Unreserved Bare;
    Month "month" Unreserved WithAs;
    Move "move" Unreserved Bare;
    Name "name" Unreserved Bare;
    Names "names" Unreserved Bare;
    National "national" ColumnName Bare;
    Natural "natural" TypeOrFunctionName Bare;
    Nchar "nchar" ColumnName Bare;
    Nested "nested" Unreserved Bare;
    New "new" Unreserved Bare;
    Next "next" Unreserved Bare;
    Nfc "nfc" Unreserved Bare;
    Nfd "nfd" Unreserved Bare;
    Nfkc "nfkc" Unreserved Bare;
    Nfkd "nfkd" Unreserved Bare;
    No "no" Unreserved Bare;
    None "none" ColumnName Bare;
    Normalize "normalize" ColumnName Bare;
    Normalized "normalized" Unreserved Bare;
    Not "not" Reserved Bare;
    Nothing "nothing" Unreserved Bare;
    Notify "notify" Unreserved Bare;
    Notnull "notnull" TypeOrFunctionName WithAs;
    Nowait "nowait" Unreserved Bare;
    Null "null" Reserved Bare;
    Nullif "nullif" ColumnName Bare;
    Nulls "nulls" Unreserved Bare;
    Numeric "numeric" ColumnName Bare;
    Object "object" Unreserved Bare;
    Objects "objects" Unreserved Bare;
    Of "of" Unreserved Bare;
    Off "off" Unreserved Bare;
    Offset "offset" Reserved WithAs;
    Oids "oids" Unreserved Bare;
    Old "old" Unreserved Bare;
    Omit "omit" Unreserved Bare;
    On "on" Reserved WithAs;
    Only "only" Reserved Bare;
    Operator "operator" Unreserved Bare;
    Option "option" Unreserved Bare;
    Options "options" Unreserved Bare;
    Or "or" Reserved Bare;
    Order "order" Reserved WithAs;
    Ordinality "ordinality" Unreserved Bare;
    Others "others" Unreserved Bare;
    Out "out" ColumnName Bare;
    Outer "outer" TypeOrFunctionName Bare;
    Over "over" Unreserved WithAs;
    Overlaps "overlaps" TypeOrFunctionName WithAs;
    Overlay "overlay" ColumnName Bare;
    Overriding "overriding" Unreserved Bare;
    Owned "owned" Unreserved Bare;
    Owner "owner" Unreserved Bare;
    Parallel "parallel" Unreserved Bare;
    Parameter "parameter" Unreserved Bare;
    Parser "parser" Unreserved Bare;
    Partial "partial" Unreserved Bare;
    Partition "partition" Unreserved Bare;
    Passing "passing" Unreserved Bare;
    Password "password" Unreserved Bare;
    Path "path" Unreserved Bare;
    Period "period" Unreserved Bare;
    Placing "placing" Reserved Bare;
    Plan "plan" Unreserved Bare;
    Plans "plans" Unreserved Bare;
    Policy "policy" Unreserved Bare;
    Position "position" ColumnName Bare;
    Preceding "preceding" Unreserved Bare;
    Precision "precision" ColumnName WithAs;
    Prepare "prepare" Unreserved Bare;
    Prepared "prepared" Unreserved Bare;
    Preserve "preserve" Unreserved Bare;
    Primary "primary" Reserved Bare;
    Prior "prior" Unreserved Bare;
    Privileges "privileges" Unreserved Bare;
    Procedural "procedural" Unreserved Bare;
    Procedure "procedure" Unreserved Bare;
    Procedures "procedures" Unreserved Bare;
    Program "program" Unreserved Bare;
    Publication "publication" Unreserved Bare;
    Quote "quote" Unreserved Bare;
    Quotes "quotes" Unreserved Bare;
    Range "range" Unreserved Bare;
    Read "read" Unreserved Bare;
    Real "real" ColumnName Bare;
    Reassign "reassign" Unreserved Bare;
    Recursive "recursive" Unreserved Bare;
    Ref "ref" Unreserved Bare;
    References "references" Reserved Bare;
    Referencing "referencing" Unreserved Bare;
    Refresh "refresh" Unreserved Bare;
    Reindex "reindex" Unreserved Bare;
    Relative "relative" Unreserved Bare;
    Release "release" Unreserved Bare;
    Rename "rename" Unreserved Bare;
    Repeatable "repeatable" Unreserved Bare;
    Replace "replace" Unreserved Bare;
    Replica "replica" Unreserved Bare;
    Reset "reset" Unreserved Bare;
    Restart "restart" Unreserved Bare;
    Restrict "restrict" Unreserved Bare;
    Return "return" Unreserved Bare;
    Returning "returning" Reserved WithAs;
    Returns "returns" Unreserved Bare;
    Revoke "revoke" Unreserved Bare;
    Right "right" TypeOrFunctionName Bare;
    Role "role" Unreserved Bare;
    Rollback "rollback" Unreserved Bare;
    Rollup "rollup" Unreserved Bare;
    Routine "routine" Unreserved Bare;
    Routines "routines" Unreserved Bare;
    Row "row" ColumnName Bare;
    Rows "rows" Unreserved Bare;
    Rule "rule" Unreserved Bare;
    Savepoint "savepoint" Unreserved Bare;
    Scalar "scalar" Unreserved Bare;
    Schema "schema" Unreserved Bare;
    Schemas "schemas" Unreserved Bare;
    Scroll "scroll" Unreserved Bare;
    Search "search" Unreserved Bare;
    Second "second" Unreserved WithAs;
    Security "security" Unreserved Bare;
    Select "select" Reserved Bare;
    Sequence "sequence" Unreserved Bare;
    Sequences "sequences" Unreserved Bare;
    Serializable "serializable" Unreserved Bare;
    Server "server" Unreserved Bare;
    Session "session" Unreserved Bare;
    SessionUser "session_user" Reserved Bare;
    Set "set" Unreserved Bare;
    Setof "setof" ColumnName Bare;
    Sets "sets" Unreserved Bare;
    Share "share" Unreserved Bare;
    Show "show" Unreserved Bare;
    Similar "similar" TypeOrFunctionName Bare;
    Simple "simple" Unreserved Bare;
    Skip "skip" Unreserved Bare;
    Smallint "smallint" ColumnName Bare;
    Snapshot "snapshot" Unreserved Bare;
    Some "some" Reserved Bare;
    Source "source" Unreserved Bare;
    Sql "sql" Unreserved Bare;
    Stable "stable" Unreserved Bare;
    Standalone "standalone" Unreserved Bare;
    Start "start" Unreserved Bare;
    Statement "statement" Unreserved Bare;
    Statistics "statistics" Unreserved Bare;
    Stdin "stdin" Unreserved Bare;
    Stdout "stdout" Unreserved Bare;
    Storage "storage" Unreserved Bare;
    Stored "stored" Unreserved Bare;
    Strict "strict" Unreserved Bare;
    String "string" Unreserved Bare;
    Strip "strip" Unreserved Bare;
    Subscription "subscription" Unreserved Bare;
    Substring "substring" ColumnName Bare;
    Support "support" Unreserved Bare;
    Symmetric "symmetric" Reserved Bare;
    Sysid "sysid" Unreserved Bare;
    System "system" Unreserved Bare;
    SystemUser "system_user" Reserved Bare;
    Table "table" Reserved Bare;
    Tables "tables" Unreserved Bare;
    Tablesample "tablesample" TypeOrFunctionName Bare;
    Tablespace "tablespace" Unreserved Bare;
    Target "target" Unreserved Bare;
    Temp "temp" Unreserved Bare;
    Template "template" Unreserved Bare;
    Temporary "temporary" Unreserved Bare;
    Text "text" Unreserved Bare;
    Then "then" Reserved Bare;
    Ties "ties" Unreserved Bare;
    Time "time" ColumnName Bare;
    Timestamp "timestamp" ColumnName Bare;
    To "to" Reserved WithAs;
    Trailing "trailing" Reserved Bare;
    Transaction "transaction" Unreserved Bare;
    Transform "transform" Unreserved Bare;
    Treat "treat" ColumnName Bare;
    Trigger "trigger" Unreserved Bare;
    Trim "trim" ColumnName Bare;
    True "true" Reserved Bare;
    Truncate "truncate" Unreserved Bare;
    Trusted "trusted" Unreserved Bare;
    Type "type" Unreserved Bare;
    Types "types" Unreserved Bare;
    Uescape "uescape" Unreserved Bare;
    Unbounded "unbounded" Unreserved Bare;
    Uncommitted "uncommitted" Unreserved Bare;
    Unconditional "unconditional" Unreserved Bare;
    Unencrypted "unencrypted" Unreserved Bare;
    Union "union" Reserved WithAs;
    Unique "unique" Reserved Bare;
    Unknown "unknown" Unreserved Bare;
    Unlisten "unlisten" Unreserved Bare;
    Unlogged "unlogged" Unreserved Bare;
    Until "until" Unreserved Bare;
    Update "update" Unreserved Bare;
    User "user" Reserved Bare;
    Using "using" Reserved Bare;
    Vacuum "vacuum" Unreserved Bare;
    Valid "valid" Unreserved Bare;
    Validate "validate" Unreserved Bare;
    Validator "validator" Unreserved Bare;
    Value "value" Unreserved Bare;
    Values "values" ColumnName Bare;
    Varchar "varchar" ColumnName Bare;
    Variadic "variadic" Reserved Bare;
    Varying "varying" Unreserved WithAs;
    Verbose "verbose" TypeOrFunctionName Bare;
    Version "version" Unreserved Bare;
    View "view" Unreserved Bare;
    Views "views" Unreserved Bare;
    Virtual "virtual" Unreserved Bare;
    Volatile "volatile" Unreserved Bare;
    When "when" Reserved Bare;
    Where "where" Reserved WithAs;
    Whitespace "whitespace" Unreserved Bare;
    Window "window" Reserved WithAs;
    With "with" Reserved WithAs;
    Within "within" Unreserved WithAs;
    Without "without" Unreserved WithAs;
    Work "work" Unreserved Bare;
    Wrapper "wrapper" Unreserved Bare;
    Write "write" Unreserved Bare;
    Xml "xml" Unreserved Bare;
    Xmlattributes "xmlattributes" ColumnName Bare;
    Xmlconcat "xmlconcat" ColumnName Bare;
    Xmlelement "xmlelement" ColumnName Bare;
    Xmlexists "xmlexists" ColumnName Bare;
    Xmlforest "xmlforest" ColumnName Bare;
    Xmlnamespaces "xmlnamespaces" ColumnName Bare;
    Xmlparse "xmlparse" ColumnName Bare;
    Xmlpi "xmlpi" ColumnName Bare;
    Xmlroot "xmlroot" ColumnName Bare;
    Xmlserialize "xmlserialize" ColumnName Bare;
    Xmltable "xmltable" ColumnName Bare;
    Year "year" Unreserved WithAs;
    Yes "yes" Unreserved Bare;
    Zone "zone" Unreserved Bare;
}

impl Keyword {
    /// The key word that an unquoted identifier is, if it is one; `word` is in lower case.
    pub(super) fn from_folded(word: &str) -> Option<Self> {
        let index = TABLE.binary_search_by(|row| row.0.cmp(word)).ok()?;
        Some(TABLE[index].1)
    }

    /// Its text, in lower case.
    pub(super) const fn text(self) -> &'static str {
        TABLE[self as usize].0
    }

    /// Where it may be a name.
    pub(super) const fn category(self) -> Category {
        TABLE[self as usize].2
    }

    /// Whether it may label a column without `AS`.
    pub(super) const fn label(self) -> Label {
        TABLE[self as usize].3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_sorted_and_in_the_order_of_the_variants() {
        for (index, row) in TABLE.iter().enumerate() {
            assert_eq!(row.1 as usize, index, "{}", row.0);
            assert_eq!(Keyword::from_folded(row.0), Some(row.1), "{}", row.0);
            assert!(index == 0 || TABLE[index - 1].0 < row.0, "{}", row.0);
        }
    }

    #[test]
    fn words_that_are_no_keywords_are_names() {
        for word in ["", "orders", "SELECT", "selec", "zonee"] {
            assert_eq!(Keyword::from_folded(word), None, "{word}");
        }
    }
}
