{#- The input tokens of all kinds that a run states itself, null where it states none. -#}
{% macro stated_input_tokens(runs) -%}
    case
            when
                coalesce(
                    {{ runs }}.input_tokens,
                    {{ runs }}.cache_read_tokens,
                    {{ runs }}.cache_write_tokens
                ) is not null
                then
                    coalesce({{ runs }}.input_tokens, 0)
                    + coalesce({{ runs }}.cache_read_tokens, 0)
                    + coalesce({{ runs }}.cache_write_tokens, 0)
        end
{%- endmacro %}
