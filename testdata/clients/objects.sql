-- Every object of users by a name that is the same in every copy of the sample, and its OID.
select tableoid::regclass || ':' || identity, oid
from (
    select tableoid, oid from pg_class where relkind <> 't' and relname !~ '^pg_toast' union all
    select tableoid, oid from pg_proc union all
    select tableoid, oid from pg_type union all
    select tableoid, oid from pg_namespace union all
    select tableoid, oid from pg_constraint union all
    select tableoid, oid from pg_trigger where not tgisinternal union all
    select tableoid, oid from pg_rewrite union all
    select tableoid, oid from pg_policy union all
    select tableoid, oid from pg_attrdef union all
    select tableoid, oid from pg_operator union all
    select tableoid, oid from pg_opclass union all
    select tableoid, oid from pg_opfamily union all
    select tableoid, oid from pg_collation union all
    select tableoid, oid from pg_extension union all
    select tableoid, oid from pg_foreign_data_wrapper union all
    select tableoid, oid from pg_foreign_server union all
    select tableoid, oid from pg_user_mapping union all
    select tableoid, oid from pg_ts_config union all
    select tableoid, oid from pg_ts_dict union all
    select tableoid, oid from pg_statistic_ext union all
    select tableoid, oid from pg_publication union all
    select tableoid, oid from pg_authid union all
    select tableoid, oid from pg_database where datname = current_database()
) objects, pg_identify_object(tableoid, oid, 0)
where oid >= 16384 and identity is not null
order by oid;
