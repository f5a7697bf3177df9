#!/bin/bash
# What has to be there before Airflow starts; can be repeated at any time.
set -euo pipefail
airflow db migrate
airflow pools set timeline_collect "${COLLECT_SLOTS:-4}" "Collectors at once, over all DAGs and workers"
# The password is typed twice, as a person would: no process list shows it.
if ! airflow users list --output plain | grep --quiet --word-regexp admin; then
    password=$(cat /run/secrets/admin)
    printf '%s\n%s\n' "$password" "$password" | setsid airflow users create --role Admin --username admin \
        --firstname neople --lastname timeline --email admin@example.org
fi
