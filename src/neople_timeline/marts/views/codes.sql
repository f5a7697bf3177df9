-- What each code of the timeline counts as. The one place that says what a drop is: tests hold the report and
-- dungeon_runs to it.
-- role: drop   an item that was not there before: 505, 513, 504, 507, 514, 520, 521 and their oath twins
--       safe   an item that moves between characters through the account safe (516, 556): never new, to be netted
--       clear  a raid, legion or the like (a raid with phases has one row per phase)
--       enhance 401-404
--       self   something that happens to the character: made, renamed, advanced
--       item   other ways to get or change an item: bought, exchanged, upgraded (511, 553), converted, split
--       other  towers, arena
-- An item family keeps oath items (550-557) apart from equipment.
SELECT code, label, role, kind, item_family
FROM (
  VALUES
    (101, '캐릭터 생성', 'self', 'created', NULL),
    (102, '캐릭터명 변경', 'self', 'renamed', NULL),
    (103, '캐릭터 전직', 'self', 'job advanced', NULL),
    (104, '캐릭터 최고 레벨 달성', 'self', 'level reached', NULL),
    (105, '모험단명 변경', 'self', 'adventure renamed', NULL),
    (201, '레이드', 'clear', 'raid', NULL),
    (202, '비탄의 탑 정복', 'other', 'tower', NULL),
    (203, '절망의 탑 정복', 'other', 'tower', NULL),
    (204, '(구)마수던전 토벌', 'other', 'old beast dungeon', NULL),
    (205, '제국투기장 하드모드 클리어', 'other', 'imperial arena', NULL),
    (206, '마수던전 토벌', 'other', 'beast dungeon', NULL),
    (207, '핀드워 클리어', 'clear', 'fiend war', NULL),
    (208, '무덤의 탑 정복', 'other', 'tower', NULL),
    (209, '레기온 클리어', 'clear', 'legion', NULL),
    (210, '레이드(선발대)', 'clear', 'raid vanguard', NULL),
    (301, '결투장 경험치 등급 상승', 'other', 'arena', NULL),
    (401, '아이템 강화', 'enhance', 'reinforce', NULL),
    (402, '아이템 증폭', 'enhance', 'amplify', NULL),
    (403, '아이템 재련', 'enhance', 'refine', NULL),
    (404, '아이템 개조', 'enhance', 'remodel', NULL),
    (405, '아이템 새김', 'item', 'imprint', 'equipment'),
    (406, '아이템 계승', 'item', 'succession', 'equipment'),
    (407, '아이템 단조', 'item', 'forging', 'equipment'),
    (501, '봉인된 자물쇠 아이템 획득', 'item', 'sealed lock', 'equipment'),
    (502, '레전더리 획득', 'item', 'legendary', 'equipment'),
    (503, '에컨 레전더리 획득', 'item', 'legendary', 'equipment'),
    (504, '아이템 획득(항아리&상자)', 'drop', 'pot and box', 'equipment'),
    (505, '아이템 획득(던전 드랍)', 'drop', 'dungeon drop', 'equipment'),
    (506, '아이템 획득(조각 교환)', 'item', 'piece exchange', 'equipment'),
    (507, '아이템 획득(레이드 카드 보상)', 'drop', 'raid card', 'equipment'),
    (508, '아이템 획득(상점)', 'item', 'shop', 'equipment'),
    (509, '아이템 초월 전송(NPC)', 'item', 'transcend sent', 'equipment'),
    (510, '아이템 교환', 'item', 'exchange', 'equipment'),
    (511, '아이템 획득(업그레이드)', 'item', 'upgrade', 'equipment'),
    (512, '권능', 'item', 'power', 'equipment'),
    (513, '아이템 획득(던전 카드 보상)', 'drop', 'dungeon card', 'equipment'),
    (514, '아이템 획득(제작서)', 'drop', 'recipe', 'equipment'),
    (515, '아이템 초월 수령(NPC)', 'item', 'transcend received', 'equipment'),
    (516, '아이템 초월(초월의돌)', 'safe', 'transcend stone', 'equipment'),
    (517, '아이템 융합 분리', 'item', 'split', 'equipment'),
    (518, '특수 아이템 획득', 'item', 'special', 'equipment'),
    (519, '아이템 변환', 'item', 'convert', 'equipment'),
    (520, '아이템 획득(장비 제작)', 'drop', 'crafting', 'equipment'),
    (521, '아이템 획득(레이드 경매 보상)', 'drop', 'raid auction', 'equipment'),
    (550, '서약 획득(던전 드랍)', 'drop', 'dungeon drop', 'oath'),
    (551, '서약 획득(레이드 카드 보상)', 'drop', 'raid card', 'oath'),
    (552, '서약 획득(항아리&상자)', 'drop', 'pot and box', 'oath'),
    (553, '서약 획득(업그레이드)', 'item', 'upgrade', 'oath'),
    (554, '서약 획득(제작서)', 'drop', 'recipe', 'oath'),
    (555, '서약 획득(무기고)', 'drop', 'armory', 'oath'),
    (556, '서약 초월(초월의 돌)', 'safe', 'transcend stone', 'oath'),
    (557, '서약 획득(던전 카드 보상)', 'drop', 'dungeon card', 'oath'),
    (601, '룬 획득', 'item', 'rune', 'rune'),
    (602, '탈리스만 획득', 'item', 'talisman', 'talisman')
) AS known (code, label, role, kind, item_family)
