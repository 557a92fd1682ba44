// Paging stands in platform, where rooms below tenants reach it; this room's face has offered it from the start.
export {
  InvalidPage,
  type ListQuery,
  listPage,
  PAGE_SIZE_DEFAULT,
  PAGE_SIZE_MAX,
  type Page,
  type Paged,
} from '../platform/index.ts'
