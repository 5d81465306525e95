//! What is asked of the server's catalogs. Everything here may be read by any role. All of it is sent as one batch
//! in one snapshot, so that the parts fit together, and comes back as text.
//!
//! Objects of users have OIDs from 16384 on (`FirstNormalObjectId`); those of the server's own that matter are known
//! by name. Dependencies on the server's own objects are not recorded (they are pinned), so the functions that an
//! expression calls are read from its stored tree as well.

/// The search path and the time limits that our own role has by itself, and where they come from: if not from settings
/// of our role, others get them too. It is asked outside of the transactions that set other ones. `source` is that of the
/// value in force, which for the time limits is ours; a role's own are read where roles' settings are.
pub(super) const OWN_SETTINGS: &str = "
select s.name, s.reset_val, s.source from pg_catalog.pg_settings s
where s.name operator(pg_catalog.=) any ('{search_path,idle_in_transaction_session_timeout,idle_session_timeout,statement_timeout,transaction_timeout}'::pg_catalog.text[])
order by s.name collate pg_catalog.\"C\"";

/// Begins a transaction in which names mean what `pg_catalog` says.
pub(super) const BEGIN: &str =
    "begin isolation level repeatable read read only; set local search_path = pg_catalog, pg_temp";

/// A value that changes whenever a definition that matters does: for each catalog the number of rows and a sum over
/// the row versions. An update in place (`reltuples`) does not change it; CREATE OR REPLACE does. It means the same with
/// any search path, so that a session can be asked what its own transaction sees.
pub(crate) const FINGERPRINT: &str = "
with temporary as materialized (
  select n.oid from pg_catalog.pg_namespace n where n.nspname operator(pg_catalog.~) '^pg_(toast_)?temp_'),
rows(oid, xmin) as (
  select oid, xmin from pg_catalog.pg_namespace
            where not oid operator(pg_catalog.=) any (select oid from temporary)
  union all select oid, '0'::pg_catalog.xid from pg_catalog.pg_roles where rolsuper
  union all select oid, xmin from pg_catalog.pg_class
            where oid operator(pg_catalog.>=) 16384 and relpersistence operator(pg_catalog.<>) 't'
  union all select oid, xmin from pg_catalog.pg_proc where oid operator(pg_catalog.>=) 16384
  union all select oid, xmin from pg_catalog.pg_type
            where oid operator(pg_catalog.>=) 16384 and not typnamespace operator(pg_catalog.=) any (select oid from temporary)
  union all select oid, xmin from pg_catalog.pg_operator where oid operator(pg_catalog.>=) 16384
  union all select oid, xmin from pg_catalog.pg_cast where oid operator(pg_catalog.>=) 16384
  union all select oid, xmin from pg_catalog.pg_rewrite where oid operator(pg_catalog.>=) 16384
  union all select oid, xmin from pg_catalog.pg_trigger where oid operator(pg_catalog.>=) 16384
  union all select oid, xmin from pg_catalog.pg_policy
  union all select oid, xmin from pg_catalog.pg_attrdef where not adrelid operator(pg_catalog.=) any (
            select c.oid from pg_catalog.pg_class c where c.relpersistence operator(pg_catalog.=) 't')
  union all select oid, xmin from pg_catalog.pg_constraint
            where oid operator(pg_catalog.>=) 16384 and not connamespace operator(pg_catalog.=) any (select oid from temporary)
  union all select oid, xmin from pg_catalog.pg_opclass where oid operator(pg_catalog.>=) 16384
  union all select oid, xmin from pg_catalog.pg_amproc where oid operator(pg_catalog.>=) 16384
  union all select oid, xmin from pg_catalog.pg_amop where oid operator(pg_catalog.>=) 16384
  union all select oid, xmin from pg_catalog.pg_event_trigger
  union all select oid, xmin from pg_catalog.pg_extension
  union all select oid, xmin from pg_catalog.pg_statistic_ext
  union all select inhrelid, xmin from pg_catalog.pg_inherits
  union all select setrole, xmin from pg_catalog.pg_db_role_setting
  union all select objid, xmin from pg_catalog.pg_depend where refclassid operator(pg_catalog.=) 3079
  union all select a.attrelid, a.xmin from pg_catalog.pg_constraint k
            join pg_catalog.pg_attribute a on a.attrelid operator(pg_catalog.=) k.confrelid
            where k.contype operator(pg_catalog.=) 'f' and a.attnum operator(pg_catalog.=) any (k.confkey)
  union all select a.attrelid, a.xmin from pg_catalog.pg_partitioned_table p
            join pg_catalog.pg_attribute a on a.attrelid operator(pg_catalog.=) p.partrelid
            where a.attnum operator(pg_catalog.>) 0
  union all select subdbid, '0'::pg_catalog.xid from pg_catalog.pg_subscription
  union all select umid, '0'::pg_catalog.xid from pg_catalog.pg_user_mappings
  union all select a.attrelid, a.xmin from pg_catalog.pg_attribute a
            join pg_catalog.pg_class c on c.oid operator(pg_catalog.=) a.attrelid
            where c.oid operator(pg_catalog.>=) 16384 and c.relkind operator(pg_catalog.=) 'c' and a.attnum operator(pg_catalog.>) 0
  union all select a.attrelid, a.xmin from pg_catalog.pg_attribute a
            join pg_catalog.pg_class c on c.oid operator(pg_catalog.=) a.attrelid
            where a.atttypid operator(pg_catalog.>=) 16384 and a.attnum operator(pg_catalog.>) 0
              and c.relpersistence operator(pg_catalog.<>) 't'
              and exists (select from pg_catalog.pg_type
                          where oid operator(pg_catalog.>=) 16384 and typtype operator(pg_catalog.=) 'd')
  union all select a.attrelid, a.xmin from pg_catalog.pg_cast k
            join pg_catalog.pg_attribute a on a.atttypid operator(pg_catalog.=) any (array[k.castsource, k.casttarget])
            join pg_catalog.pg_class c on c.oid operator(pg_catalog.=) a.attrelid
            where k.oid operator(pg_catalog.>=) 16384 and k.castcontext operator(pg_catalog.=) 'a'
              and k.castfunc operator(pg_catalog.<>) 0 and a.attnum operator(pg_catalog.>) 0
              and c.relpersistence operator(pg_catalog.<>) 't')
select pg_catalog.concat(pg_catalog.count(*), '.', pg_catalog.sum(pg_catalog.hashint8extended(
  (oid::pg_catalog.int8 operator(pg_catalog.<<) 32) operator(pg_catalog.|) xmin::pg_catalog.text::pg_catalog.int8, 0)))
from rows";

/// The same for the names of columns, of which there are many: it takes the server longer than all the rest.
pub(crate) const COLUMNS_FINGERPRINT: &str = "
select pg_catalog.concat(pg_catalog.sum(pg_catalog.hashnameextended(
  attname, (attrelid::pg_catalog.int8 operator(pg_catalog.<<) 16) operator(pg_catalog.|) attnum::pg_catalog.int8)))
from pg_catalog.pg_attribute
where attrelid operator(pg_catalog.>=) 16384 and attnum operator(pg_catalog.>) 0 and attinhcount operator(pg_catalog.=) 0
  and not attrelid operator(pg_catalog.=) any (
    select c.oid from pg_catalog.pg_class c where c.relpersistence operator(pg_catalog.=) 't')";

/// The server's version.
pub(super) const VERSION: &str = "select current_setting('server_version_num')";

/// Roles, search paths and time limits set for roles: `role` is empty where it is for all roles, `here` says whether it is for
/// this database only. The last column says whether it is a setting of the role we are ourselves.
pub(super) const ROLE_SETTINGS: &str = "
select coalesce(r.rolname, ''), s.setdatabase <> 0, split_part(c, '=', 1), substr(c, strpos(c, '=') + 1),
  coalesce(r.rolname = session_user, false)
from pg_db_role_setting s
cross join unnest(s.setconfig) c
left join pg_roles r on r.oid = s.setrole
where split_part(c, '=', 1) = any ('{role,search_path,idle_in_transaction_session_timeout,idle_session_timeout,statement_timeout,transaction_timeout}')
  and (s.setdatabase = 0 or s.setdatabase = (select oid from pg_database where datname = current_database()))
  and (s.setrole = 0 or r.oid is not null)";

/// All schemas but those of sessions, and to whom their use is granted: to everybody where a name is empty. The server
/// leaves those out of a search path that the role may not use (`recomputeNamespacePath`).
pub(super) const SCHEMAS: &str = "
select n.nspname, (
  select string_agg(coalesce(r.rolname, ''), e'\\x01')
  from aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a left join pg_roles r on r.oid = a.grantee
  where a.privilege_type = 'USAGE' and (a.grantee = 0 or r.oid is not null))
from pg_namespace n where n.nspname !~ '^pg_(toast_)?temp_'";

/// Roles that may do anything.
pub(super) const SUPERUSERS: &str = "select rolname from pg_roles where rolsuper";

/// All relations but those of sessions and TOAST.
pub(super) const RELATIONS: &str = "
select c.oid, n.nspname, c.relname, c.relkind, c.reltuples::bigint, c.relpages, c.relrowsecurity
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relpersistence <> 't' and n.nspname <> 'pg_toast'";

/// The names of columns, but for those that come from a parent.
pub(super) const COLUMN_NAMES: &str = "
select attrelid, string_agg(attname, e'\\x01') from pg_attribute
where attrelid >= 16384 and attnum > 0 and attinhcount = 0 and not attisdropped
  and attrelid in (select oid from pg_class where relkind in ('r', 'p', 'v', 'm', 'f') and relpersistence <> 't')
group by attrelid";

/// Names of the server's own functions.
pub(super) const BUILTINS: &str = "select oid, proname from pg_proc where oid < 16384";

/// SHA-256 of all that makes a function's meaning. It quotes as a row does, so no two differ only in where a part ends.
macro_rules! function_hash {
    () => {
        "encode(sha256(convert_to(row(n.nspname, p.proname, p.proowner, p.prolang, p.prokind, p.prosecdef, p.proretset,
    p.provolatile, p.proargtypes, p.prorettype, p.proallargtypes, p.proargmodes, p.proargnames, p.proargdefaults, p.prosrc,
    p.probin, p.prosqlbody, p.proconfig, p.prosupport, p.protrftypes, a.aggtransfn, a.aggfinalfn,
    a.aggcombinefn, a.aggserialfn, a.aggdeserialfn, a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn, a.aggsortop,
    a.aggtranstype, a.agginitval, a.aggminitval)::text, getdatabaseencoding())), 'hex')"
    };
}

/// Functions of users. The last column is the source of those of extensions whose names the server looks up when they
/// run, with the search path of whoever calls: they are neither C (12, 13) nor resolved when they were made.
pub(super) const FUNCTIONS: &str = concat!(
    "
select p.oid, n.nspname, p.proname, p.prolang, p.prokind, p.pronargs, p.pronargdefaults, p.provolatile,
  ",
    function_hash!(),
    ",
  e.extname,
  case when e.oid is not null and p.prosqlbody is null and p.prolang not in (12, 13)
    and not coalesce(p.proconfig && array['search_path=pg_catalog', 'search_path=pg_catalog, pg_temp'], false) then p.prosrc end
from pg_proc p
join pg_namespace n on n.oid = p.pronamespace
left join pg_aggregate a on a.aggfnoid = p.oid
left join pg_depend d on d.classid = 1255 and d.objid = p.oid and d.refclassid = 3079 and d.deptype = 'e'
left join pg_extension e on e.oid = d.refobjid
where p.oid >= 16384"
);

/// Functions of users for people to read: what they are, and what makes them.
pub(super) const FUNCTION_SUMMARIES: &str = concat!(
    "
select p.oid, n.nspname, p.proname, pg_get_function_identity_arguments(p.oid), ",
    function_hash!(),
    ", p.prokind, l.lanname,
  case when p.prokind = 'a'
    then concat_ws(E'\\n', 'aggregate of', 'sfunc ' || a.aggtransfn::regprocedure, 'stype ' || a.aggtranstype::regtype,
      'finalfunc ' || nullif(a.aggfinalfn::oid, 0)::regprocedure, 'combinefunc ' || nullif(a.aggcombinefn::oid, 0)::regprocedure,
      'serialfunc ' || nullif(a.aggserialfn::oid, 0)::regprocedure,
      'deserialfunc ' || nullif(a.aggdeserialfn::oid, 0)::regprocedure,
      'msfunc ' || nullif(a.aggmtransfn::oid, 0)::regprocedure,
      'minvfunc ' || nullif(a.aggminvtransfn::oid, 0)::regprocedure,
      'mfinalfunc ' || nullif(a.aggmfinalfn::oid, 0)::regprocedure, 'initcond ' || quote_literal(a.agginitval))
    else pg_get_functiondef(p.oid) end,
  pg_get_userbyid(p.proowner), p.prosecdef, coalesce(array_to_string(p.proconfig, E'\\n'), ''), p.prosqlbody is not null
from pg_proc p
join pg_namespace n on n.oid = p.pronamespace
join pg_language l on l.oid = p.prolang
left join pg_aggregate a on a.aggfnoid = p.oid
where p.oid >= 16384"
);

/// Operators of users, with the function they run and the types of the operands; 0 where there is none on that side.
pub(super) const OPERATORS: &str = "
select o.oid, n.nspname, o.oprname, o.oprcode::oid, d.objid is not null, o.oprleft, o.oprright
from pg_operator o
join pg_namespace n on n.oid = o.oprnamespace
left join pg_depend d on d.classid = 2617 and d.objid = o.oid and d.refclassid = 3079 and d.deptype = 'e'
where o.oid >= 16384";

/// Types of users: kind, base type of a domain, element of an array, relation of a row type, whether an extension's.
pub(super) const TYPES: &str = "
select t.oid, t.typname, t.typtype, t.typbasetype, t.typelem, t.typrelid,
  exists (select from pg_depend d where d.classid = 1247 and d.objid = t.oid and d.refclassid = 3079 and d.deptype = 'e')
from pg_type t join pg_namespace n on n.oid = t.typnamespace
where t.oid >= 16384 and n.nspname !~ '^pg_(toast_)?temp_'";

/// Functions that comparing ranges of users runs: those of the subtype's operator class, and the difference.
pub(super) const RANGES: &str = "
select rngcanonical::oid, rngsubdiff::oid, rngsubopc from pg_range where rngtypid >= 16384";

/// Columns of types of users.
pub(super) const COLUMNS: &str = "
select a.attrelid, a.attname, a.atttypid
from pg_attribute a join pg_class c on c.oid = a.attrelid
where a.atttypid >= 16384 and a.attnum > 0 and not a.attisdropped and c.relpersistence <> 't'";

/// Which relations have a column that may hold a value of the type that a cast of users leads to (`t`) or comes from
/// (`f`): of that type itself, or of a domain, array or row with it.
pub(super) const ASSIGNMENTS: &str = "
with recursive parts(part, whole) as (
  select typbasetype, oid from pg_type where typbasetype <> 0
  union all select typelem, oid from pg_type where typelem <> 0
  union all select a.atttypid, c.reltype from pg_attribute a join pg_class c on c.oid = a.attrelid
            where a.attnum > 0 and c.oid >= 16384 and c.reltype <> 0),
holds(cast_oid, leads_to, type) as (
  select oid, s.leads_to, case when s.leads_to then casttarget else castsource end
  from pg_cast, (values (true), (false)) s(leads_to)
  where oid >= 16384 and castcontext = 'a' and castfunc <> 0 and (s.leads_to or castsource >= 16384)
  union
  select h.cast_oid, h.leads_to, p.whole from holds h join parts p on p.part = h.type)
select distinct h.cast_oid, h.leads_to, a.attrelid
from holds h join pg_attribute a on a.atttypid = h.type join pg_class c on c.oid = a.attrelid
where a.attnum > 0 and c.oid >= 16384 and c.relpersistence <> 't'";

/// Casts of users that run a function, with the type they lead to and the one of arrays of it.
pub(super) const CASTS: &str = "
select c.castfunc, c.castcontext, t.typname, t.oid, t.typarray, coalesce(y.typname, ''), c.oid, c.castsource
from pg_cast c join pg_type t on t.oid = c.casttarget
left join pg_type y on y.oid = t.typarray
where c.oid >= 16384 and c.castfunc <> 0";

/// Which relations and domains are made of types of the server's own that those casts lead to.
pub(super) const CAST_PARTS: &str = "
with targets(oid) as (
  select distinct x.oid from pg_cast c join pg_type t on t.oid = c.casttarget
  cross join lateral (values (t.oid), (t.typarray)) x(oid)
  where c.oid >= 16384 and c.castfunc <> 0 and x.oid between 1 and 16383)
select 1259, a.attrelid, a.atttypid from pg_attribute a join targets t on t.oid = a.atttypid
where a.attnum > 0 and not a.attisdropped
union all select 1247, d.oid, d.typbasetype from pg_type d join targets t on t.oid = d.typbasetype";

/// Operator classes of users, whether a type uses them by itself, the functions in their family, and their names.
pub(super) const OPERATOR_CLASSES: &str = "
select c.oid, c.opcdefault, f.code, c.opcname
from pg_opclass c
join (select amprocfamily, amproc::oid from pg_amproc
      union select amopfamily, o.oprcode::oid from pg_amop a join pg_operator o on o.oid = a.amopopr) f(family, code)
  on f.family = c.opcfamily
where c.oid >= 16384";

/// Rules, those that make views included.
pub(super) const RULES: &str = "
select r.oid, r.ev_class, r.rulename, r.ev_type, r.is_instead from pg_rewrite r
where r.oid >= 16384 and r.ev_enabled <> 'D'";

/// Triggers that users made and that are not disabled.
pub(super) const TRIGGERS: &str = "
select t.oid, t.tgrelid, t.tgname, t.tgfoid, t.tgtype from pg_trigger t
where not t.tgisinternal and t.tgenabled <> 'D'";

/// Constraints of tables and domains; of a foreign key also the columns it refers to, where none of them is generated, and
/// those that refer.
pub(super) const CONSTRAINTS: &str = "
select k.oid, k.conrelid, k.contypid, k.contype, k.conname, k.confrelid, k.confdeltype, k.confupdtype, k.conparentid,
  (select case when bool_and(a.attgenerated = '') then string_agg(a.attname, e'\\x01') end from pg_attribute a
    where a.attrelid = k.confrelid and a.attnum = any (k.confkey)),
  (select string_agg(a.attname, e'\\x01') from pg_attribute a
    where k.contype = 'f' and a.attrelid = k.conrelid and a.attnum = any (k.conkey))
from pg_constraint k
where k.oid >= 16384";

/// To which relation an object belongs whose expressions run when the relation is read (`r`) or written (`w`).
pub(super) const PARTS: &str = "
select 3256, oid, polrelid, 'p' from pg_policy
union all select 2604, d.oid, d.adrelid, case a.attgenerated when 'v' then 'r' else 'w' end
  from pg_attrdef d join pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
union all select 1259, indexrelid, indrelid, 'w' from pg_index where indexrelid >= 16384
union all select 3381, oid, stxrelid, 'w' from pg_statistic_ext";

/// On which objects of users the expressions of other objects depend. The numbers are the OIDs of the catalogs:
/// `pg_class` 1259, `pg_proc` 1255, `pg_type` 1247, `pg_operator` 2617, `pg_opclass` 2616, `pg_rewrite` 2618,
/// `pg_policy` 3256, `pg_attrdef` 2604, `pg_constraint` 2606, `pg_trigger` 2620, `pg_statistic_ext` 3381.
pub(super) const DEPENDENCIES: &str = "
select distinct classid, objid, refclassid, refobjid from pg_depend
where refobjid >= 16384 and deptype <> 'e' and (
  refclassid in (1255, 1247, 2617, 2616) and classid in (1259, 1247, 2618, 3256, 2604, 2606, 2620, 3381)
  or refclassid = 1259 and classid in (2618, 3256))";

/// Which of the server's own functions (`f`) and relations (`r`) the stored expressions of users use. `JSON_OBJECT (...)`
/// and its kin do what `to_json` (3176) does, and call nothing.
pub(super) const EXPRESSIONS: &str = "
with trees(catalog, oid, tree) as (
  select 2618, oid, ev_action::text || ev_qual::text from pg_rewrite where oid >= 16384
  union all select 3256, oid, concat(polqual::text, polwithcheck::text) from pg_policy
  union all select 2604, oid, adbin::text from pg_attrdef where oid >= 16384
  union all select 2606, oid, conbin::text from pg_constraint where oid >= 16384 and conbin is not null
  union all select 2620, oid, tgqual::text from pg_trigger where oid >= 16384 and tgqual is not null
  union all select 1247, oid, typdefaultbin::text from pg_type where oid >= 16384 and typdefaultbin is not null
  union all select 1259, indexrelid, concat(indexprs::text, indpred::text) from pg_index
            where indexrelid >= 16384 and (indexprs is not null or indpred is not null)
  union all select 1259, partrelid, partexprs::text from pg_partitioned_table where partexprs is not null)
select distinct catalog, oid, case m[1] when 'relid' then 'r' else 'f' end, m[2]
from trees, regexp_matches(tree, ':(funcid|opfuncid|aggfnoid|winfnoid|relid) ([0-9]+)', 'g') m
where m[2]::bigint < 16384 and m[2] <> '0'
union select catalog, oid, 'f', '3176' from trees where tree ~ '[{]JSONCONSTRUCTOREXPR'";

/// The expressions stored with relations that the planner simplifies when it looks at these: those that may have the OID
/// of an object of users in them. One that is too long to be sent is no tree.
pub(super) const STORED: &str = "
with trees(catalog, oid, relation, tree) as (
  select 1259, indexrelid, indrelid, concat_ws(' ', indexprs::text, indpred::text) from pg_index
            where indexrelid >= 16384 and (indexprs is not null or indpred is not null)
  union all select 3381, oid, stxrelid, stxexprs::text from pg_statistic_ext where stxexprs is not null
  union all select 2606, oid, conrelid, conbin::text from pg_constraint
            where oid >= 16384 and conrelid <> 0 and conbin is not null
  union all select 1259, partrelid, partrelid, partexprs::text from pg_partitioned_table where partexprs is not null
  union all select 1259, oid, oid, relpartbound::text from pg_class where relpartbound is not null)
select catalog, oid, relation, case when length(tree) <= 200000 then tree else '{' end
from trees where tree ~ ' [0-9]{5}'";

/// The functions in SQL that such expressions call, themselves or by an operator, and that may be replaced by their
/// bodies (`inline_function`, `src/backend/optimizer/util/clauses.c`): the body, null where that may call what is of
/// users.
pub(super) const INLINED: &str = "
select p.oid, case when p.prosqlbody is null then case when length(p.prosrc) <= 10000 then p.prosrc end
                   when p.prosqlbody::text !~ ' [0-9]{5}' then 'select' end
from pg_proc p
where p.oid >= 16384 and p.prolang = 14 and p.prokind = 'f' and not p.prosecdef and not p.proretset
  and p.proconfig is null
  and exists (select from pg_depend d
              where d.refclassid = 1255 and d.refobjid = p.oid and d.classid in (1259, 2606, 2617, 3381))";

/// The columns of the keys of partitioned tables, those in expressions included; nothing of a table where a key is made of
/// whole rows.
pub(super) const PARTITION_KEYS: &str = "
with keys(relation, number) as (
  select partrelid, number from pg_partitioned_table, unnest(partattrs::int2[]) number where number <> 0
  union select partrelid, m[1]::int2 from pg_partitioned_table,
    regexp_matches(partexprs::text, ':varattno (-?[0-9]+)', 'g') m)
select k.relation, string_agg(a.attname, e'\\x01')
from keys k left join pg_attribute a on a.attrelid = k.relation and a.attnum = k.number and k.number > 0
group by k.relation having count(*) = count(a.attnum)";

/// Partitions and children.
pub(super) const INHERITANCE: &str = "select inhparent, inhrelid from pg_inherits";

/// Event triggers.
pub(super) const EVENT_TRIGGERS: &str = "select evtfoid from pg_event_trigger where evtenabled <> 'D'";

/// Whether there are no subscriptions, and no user mappings. That there are any may be read by everybody.
pub(super) const WITHOUT_SECRETS: &str =
    "select not exists (select subname from pg_subscription), not exists (select umid from pg_user_mappings)";
