{#-
    What the telemetry seeds say, as SQL: which client sent a record, what a record of it tells, and
    under which names an attribute may come. The seeds are read when a model is compiled.
-#}


{#- The rows of a telemetry seed in their order; none while dbt parses. -#}
{% macro telemetry_seed(name) %}
    {%- if execute -%}
        {{- return(run_query(
            'select * from ' ~ scratch_schema('run') ~ '.' ~ name ~ ' order by position'
        ).rows) -}}
    {%- endif -%}
    {{- return([]) -}}
{% endmacro %}


{#- Whether a text begins so. -#}
{% macro begins_with(expression, beginning) -%}
    substring({{ expression }}, 1, {{ beginning | length }}) = '{{ beginning }}'
{%- endmacro %}


{#- The named client that a record of raw.otlp is of, else its service's name. -#}
{% macro telemetry_client() %}
    case
    {%- for row in telemetry_seed('telemetry_clients') if row['client'] != '*' %}
        when
            service_name in ('{{ row['services'].split() | join("', '") }}')
            {%- for scope in row['scopes'].split() %}
            or {{ begins_with('scope_name', scope) }}
            {%- endfor %}
            {%- for record in row['records'].split() %}
            or {{ begins_with('record_name', record) }}
            {%- endfor %}
            then '{{ row['client'] }}'
    {%- endfor %}
        when service_name is null then 'unknown_service'
        else service_name
    end
{%- endmacro %}


{#- Whether a record is of one of the clients that the seed names. -#}
{% macro is_named_client() -%}
    {%- set names = [] -%}
    {%- for row in telemetry_seed('telemetry_clients') if row['client'] != '*' -%}
        {%- do names.append(row['client']) -%}
    {%- endfor -%}
    client in ('{{ names | join("', '") }}')
{%- endmacro %}


{#- A column of the clients' seed for the client of a record. -#}
{% macro of_client(column) %}
    case
    {%- set others = namespace(value='') -%}
    {%- for row in telemetry_seed('telemetry_clients') -%}
        {%- if row['client'] == '*' -%}
            {%- set others.value = row[column] -%}
        {%- else %}
        when client = '{{ row['client'] }}' then '{{ row[column] }}'
        {%- endif -%}
    {%- endfor %}
        when client is not null then '{{ others.value }}'
    end
{%- endmacro %}


{#- Role and rule of a record, `role:rule`; the first row of the seed that fits says it. -#}
{% macro telemetry_role() %}
    case
    {%- for row in telemetry_seed('telemetry_records') %}
        when
            {% if row['client'] == '*' -%}
            not {{ is_named_client() }}
            {%- else -%}
            client = '{{ row['client'] }}'
            {%- endif %}
            and signal = '{{ row['signal'] }}'
            {%- if row['record'].endswith('*') and row['record'] != '*' %}
            and {{ begins_with('record_name', row['record'][:-1]) }}
            {%- elif row['record'] != '*' %}
            and record_name = '{{ row['record'] }}'
            {%- endif %}
            {%- for condition in (row['conditions'] or '').split() %}
            {%- set name, value = condition.split('=') %}
            {%- if value == '*' %}
            and attributes['{{ name }}'] is not null
            {%- else %}
            and attributes['{{ name }}'] in ('{{ value.split('|') | join("', '") }}')
            {%- endif %}
            {%- endfor %}
            then '{{ row['role'] }}:{{ row['rule'] or '' }}'
    {%- endfor %}
        when client is not null then 'informational:'
    end
{%- endmacro %}


{#-
    An attribute by all names that it has had: those of the record's own client first, then those of
    the conventions. A value that is no number although it should be one is null: the loader has
    rejected it, unless it landed before the seed knew its name. places: where to look.
-#}
{% macro telemetry_attribute(field, places=['attributes']) %}
    {%- set names = {'*': []} -%}
    {%- set found = namespace(kind='text') -%}
    {%- for row in telemetry_seed('telemetry_attributes') if row['field'] == field -%}
        {%- do names.setdefault(row['client'], []).append(row['attribute']) -%}
        {%- set found.kind = row['kind'] -%}
    {%- endfor -%}
    {%- set type = {
        'whole': 'bigint', 'latency': 'decimal(18, 3)', 'amount': 'decimal(38, 12)'
    }.get(found.kind, 'string') -%}
    try_cast(
        case
        {%- for client in names if client != '*' %}
            when client = '{{ client }}'
                then {{ first_named(names[client] + names['*'], places) }}
        {%- endfor %}
            when client is not null then {{ first_named(names['*'], places) }}
        end as {{ type }}
    )
{%- endmacro %}


{#- The first of these names that one of these maps holds. -#}
{% macro first_named(names, places) %}
    {%- set looked_up = ['cast(null as string)'] -%}
    {%- for place in places -%}
        {%- for name in names -%}
            {%- do looked_up.append(place ~ "['" ~ name ~ "']") -%}
        {%- endfor -%}
    {%- endfor -%}
    coalesce({{ looked_up | join(', ') }}, null)
{%- endmacro %}


{#-
    The units that tonight's records touch, or their traces, or their sender without a session;
    every unit in a build from all loads.
-#}
{% macro of_touched_units(relation) %}
    select * from {{ relation }}
    {%- if is_incremental() %}
    where
        unit_key in (
            select unit_key from {{ ref('stg_telemetry_records') }}
            union
            select identity_key from {{ ref('stg_telemetry_records') }}
            union
            select unit_key from {{ relation }}
            where trace_id in (select trace_id from {{ ref('stg_telemetry_records') }})
        )
    {%- endif %}
{%- endmacro %}


{#- The MCP server of a tool call: as stated, else out of a name like mcp__server__tool. -#}
{% macro server_of_call() -%}
    coalesce(
        mcp_server,
        case when {{ begins_with('tool_name', 'mcp__') }} then split_part(tool_name, '__', 2) end
    )
{%- endmacro %}


{#- The tool of a call, without the server that some clients put in front of its name. -#}
{% macro tool_of_call() -%}
    case
        when mcp_tool is not null then mcp_tool
        when {{ begins_with('tool_name', 'mcp__') }} and split_part(tool_name, '__', 3) <> ''
            then substring(tool_name, length(split_part(tool_name, '__', 2)) + 8)
        when substring(tool_name, 1, length(mcp_server) + 5) = 'mcp_' || mcp_server || '_'
            then substring(tool_name, length(mcp_server) + 6)
        when substring(tool_name, 1, length(mcp_server) + 2) = mcp_server || '__'
            then substring(tool_name, length(mcp_server) + 3)
        else tool_name
    end
{%- endmacro %}


{#-
    What two records of one event share: a span's id, or all that a log record says of it.

    said: what a log record says of it, as SQL texts.
-#}
{% macro twin_of(said) -%}
    unit_key, signal, role,
    case when signal = 'span' then trace_id end,
    case when signal = 'span' then coalesce(span_id, record_id) end,
    case when signal = 'log' then coalesce(stamp, cast(recorded_at as string)) end,
    case when signal = 'log' and {{ of_client('unit') }} = 'trace' then span_id end,
    case when signal = 'log' then concat_ws('|',
        {%- for text in ['sequence'] + said %}
        coalesce({{ text }}, ''){{ ',' if not loop.last }}
        {%- endfor %}
    ) end
{%- endmacro %}


{% macro twin_of_request() -%}
    {{ twin_of([
        'request_id', 'model', 'cast(attempt as string)', 'cast(stated_input_tokens as string)',
        'cast(stated_output_tokens as string)',
    ]) }}
{%- endmacro %}


{#- Of a call with an id some copies tell the duration, and some do not. -#}
{% macro twin_of_tool_call() -%}
    {{ twin_of([
        'tool_use_id', 'tool_name', 'decision',
        'case when tool_use_id is null then cast(duration_ms as string) end',
    ]) }}
{%- endmacro %}


{#- What the points share that become one row. -#}
{% macro instant_of_points() -%}
    unit_key, model, speed, recorded_at
{%- endmacro %}


{#- The span that a record stands in: the parent of a span, the span that a log event names. -#}
{% macro span_around() -%}
    case
        when signal = 'span' then parent_span_id
        when role in ('request', 'failed_request') then span_id
    end
{%- endmacro %}


{#-
    CTEs that climb from records to the roots of their traces: `lineage` (record and ancestor) and
    `inherited` (per record: what its nearest ancestors say that it may not say itself). Expects a
    CTE `records` of whole units. A span that was sent twice is one ancestor. The nearest ancestor
    of a log event about a request is the span whose id it carries. Usage within a call of a tool is
    no part of what stands around the call (`is_beyond_tool`). Ancestors may be of another
    unit: an application calls a coding agent, and that one the server of a tool.

    climbing: the CTE of the records to start from.
-#}
{% macro lineage_of_spans(climbing) %}
ancestors as (

    select
        trace_id,
        span_id,
        max(unit_key) as unit_key,
        bool_or({{ of_client('unit') }} = 'session') as is_of_session,
        max(parent_span_id) as parent_span_id,
        bool_or(role = 'request') as is_request,
        bool_or(role in ('request', 'agent') and {{ tokens_of_request() }} > 0) as has_usage,
        case
            when bool_or(role = 'tool_result') then 'tool ' || coalesce(max(tool_name), '')
            when bool_or(role in ('request', 'agent')) then 'other'
        end as station,
        max(session_id) as session_id,
        max(account_uuid) as account_uuid,
        max(email) as email,
        max(installation_id) as installation_id,
        max(agent_id) as agent_id,
        max(team_id) as team_id,
        max(cost_centre) as cost_centre
    from {{ ref('int_telemetry_records_deduplicated') }}
    where
        signal = 'span'
        and span_id is not null
        and trace_id in (select trace_id from records where trace_id is not null)
    group by trace_id, span_id

),

climbed as (

    select
        record_id,
        unit_key,
        trace_id,
        {{ span_around() }} as ancestor_span_id,
        false as is_beyond_tool,
        1 as depth
    from {{ climbing }}
    where {{ span_around() }} is not null and twin_number = 1

    union all

    select
        climbed.record_id,
        climbed.unit_key,
        climbed.trace_id,
        parents.parent_span_id,
        climbed.is_beyond_tool
        or coalesce({{ begins_with('parents.station', 'tool ') }}, false),
        climbed.depth + 1
    from climbed
    inner join ancestors as parents
        on
            climbed.trace_id = parents.trace_id
            and climbed.ancestor_span_id = parents.span_id
    where parents.parent_span_id is not null and climbed.depth < 64

),

lineage as (

    select
        record_id,
        unit_key,
        trace_id,
        ancestor_span_id,
        bool_and(is_beyond_tool) as is_beyond_tool,
        min(depth) as depth
    from climbed
    group by record_id, unit_key, trace_id, ancestor_span_id

),

inherited as (

    select
        lineage.record_id,
        bool_or(
            ancestors.is_request
            and ancestors.has_usage
            and not lineage.is_beyond_tool
            and ancestors.unit_key = lineage.unit_key
        ) as is_inside_usage,
        bool_or(
            ancestors.is_request
            and ancestors.has_usage
            and not lineage.is_beyond_tool
            and ancestors.unit_key <> lineage.unit_key
            and ancestors.is_of_session
        ) as is_inside_a_session,
        bool_or(ancestors.is_request and lineage.depth = 1) as is_at_request,
        bool_or(ancestors.has_usage and lineage.depth = 1) as is_at_usage,
        {%- for column in [
            'station', 'session_id', 'account_uuid', 'email', 'installation_id', 'agent_id',
            'team_id', 'cost_centre',
        ] %}
        min_by(ancestors.{{ column }}, lineage.depth)
            filter (where ancestors.{{ column }} is not null)
            as {{ column }}{{ '' if loop.last else ',' }}
        {%- endfor %}
    from lineage
    inner join ancestors
        on
            lineage.trace_id = ancestors.trace_id
            and lineage.ancestor_span_id = ancestors.span_id
    group by lineage.record_id

),
{%- endmacro %}


{#- All tokens of a request, in and out. -#}
{% macro tokens_of_request() -%}
    (
        coalesce(input_tokens, 0)
        + coalesce(cache_read_tokens, 0)
        + coalesce(cache_write_5m_tokens, 0)
        + coalesce(cache_write_1h_tokens, 0)
        + coalesce(output_tokens, 0)
    )
{%- endmacro %}


{#-
    Tokens written to a cache for `ttl` (5m, 1h): those of which the client says so; the others, for
    as long as the setting says. Expects `night`.

    stated_1h: those that the client says are for an hour; null where it tells no duration.
-#}
{% macro cache_writes(ttl, tokens, stated_1h='cast(null as bigint)') -%}
    case
        when {{ tokens }} is null then null
        {%- if ttl == '1h' %}
        when {{ stated_1h }} is not null then {{ stated_1h }}
        {%- else %}
        when {{ stated_1h }} is not null
            then greatest({{ tokens }} - {{ stated_1h }}, 0)
        {%- endif %}
        when night.cache_write_ttl = '{{ ttl }}' then {{ tokens }}
        else 0
    end
{%- endmacro %}


{#- What a metric point adds to the tokens of these types. -#}
{% macro increment_of_types(types) -%}
    case
        when role = 'tokens_point' and lower(token_type) in ('{{ types | join("', '") }}')
            then cast(increment as bigint)
    end
{%- endmacro %}
