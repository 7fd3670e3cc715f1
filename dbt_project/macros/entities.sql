{#- The entities that arrive as rows of their own, with their staging model, fact and key. -#}
{% macro platform_entities() %}
    {{- return([
        ('agent_runs', ['run_id']),
        ('llm_requests', ['request_id']),
        ('tool_calls', ['call_id']),
        ('conversation_messages', ['message_id']),
        ('credit_lines', ['line_id']),
        ('organisations', ['organisation_id']),
        ('users', ['user_id']),
        ('user_identities', ['identity']),
        ('teams', ['team_id']),
        ('groups', ['group_id']),
        ('group_members', ['group_id', 'user_id']),
        ('agents', ['agent_id']),
        ('agent_instances', ['agent_instance_id']),
        ('mcp_servers', ['mcp_id']),
        ('tools', ['mcp_id', 'tool_name']),
        ('policies', ['policy_id']),
        ('api_keys', ['api_key_id']),
        ('role_grants', ['user_id', 'organisation_id', 'role']),
    ]) -}}
{% endmacro %}
